"""A neighbour on a link: answers whoever asks it, and writes a line for each into the file that is named.

`neighbour.py FILE`, in a network of its own: waits until an end of a link, `there`, is moved into it.
"""

import ctypes, socket, subprocess, sys, threading, time

ctypes.CDLL(None).prctl(1, 9)
asked = open(sys.argv[1], 'a', buffering=1)


def ip(line):
    subprocess.check_call(['ip', *line.split()])


def answer_connections(server):
    while True:
        client, _ = server.accept()
        asked.write('tcp\n')
        client.sendall(b'neighbour')
        client.close()


def answer_datagrams(server):
    while True:
        _, client = server.recvfrom(99)
        asked.write('udp\n')
        server.sendto(b'neighbour', client)


while 'there' not in [name for _, name in socket.if_nameindex()]:
    time.sleep(0.01)
for address in ('10.77.0.2/24', '169.254.169.254/16', 'fd00:ec2::254/64 nodad'):
    ip(f'addr add {address} dev there')
ip('link set there up')
for port in (53, 80, 8080):
    listening = socket.create_server(('::', port), family=socket.AF_INET6, dualstack_ipv6=True)
    threading.Thread(target=answer_connections, args=[listening]).start()
for family, host in ((socket.AF_INET, '10.77.0.2'), (socket.AF_INET, '169.254.169.254'), (socket.AF_INET6, 'fd00:ec2::254')):
    for port in (53, 8080):
        # Each at its own address, so that it answers from there.
        bound = socket.socket(family, socket.SOCK_DGRAM)
        bound.bind((host, port))
        threading.Thread(target=answer_datagrams, args=[bound]).start()
