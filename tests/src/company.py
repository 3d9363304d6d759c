"""A service of a company: HTTPS on the places that are named, and a line in a file for each request that it answers.

`company.py FOLDER LINK ADDRESS:PORT…`: the folder holds `host.pem` and `host.key`, and gets `asked`. Where LINK is not `-`, it waits until
an end of a link of that name is moved into its network, and takes the addresses. Prints a line when it listens: its last port.
"""

import ctypes, http.server, socket, ssl, subprocess, sys, threading, time

ctypes.CDLL(None).prctl(1, 9)
folder, link, *places = sys.argv[1:]
asked = open(f'{folder}/asked', 'a', buffering=1)


class Service(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'

    def do_GET(self):
        asked.write(f'{self.headers["Host"]} {self.path}\n')
        body = b'from the company\n'
        self.send_response(200)
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


if link != '-':
    while link not in [name for _, name in socket.if_nameindex()]:
        time.sleep(0.01)
    for address in sorted({place.rsplit(':', 1)[0] for place in places}):
        subprocess.check_call(['ip', 'addr', 'add', f'{address}/16', 'dev', link])
    subprocess.check_call(['ip', 'link', 'set', link, 'up'])
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(f'{folder}/host.pem', f'{folder}/host.key')
for place in places:
    address, port = place.rsplit(':', 1)
    server = http.server.ThreadingHTTPServer((address, int(port)), Service)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever).start()
print(server.server_address[1], flush=True)
