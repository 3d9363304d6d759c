//! What a child in a network of its own reaches: the gateway's sockets, whatever it asks for, and nothing else.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod common;

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::time::Duration;

use common::{Ended, run, shell, spawner};
use ringfence_sandbox::limits::{TCP_PORTS, UDP_PORTS};
use ringfence_sandbox::{Child, Command, ExitStatus, LayerName, Network, Root};
use tokio::io::{AsyncBufReadExt, AsyncReadExt};

#[test]
#[ignore = "becomes the spawner"]
fn the_spawner() {
    ringfence_sandbox::become_spawner_if_asked();
}

fn python(script: &str) -> Command {
    Command::new("/usr/bin/python3").argument("-c").argument(script).root(Root::system())
}

/// Serves the first connection at `port`: tells the client what it dialled, as seen from outside.
fn tell_what_was_dialled(listener: &TcpListener) -> SocketAddr {
    listener.set_nonblocking(false).unwrap();
    let (mut stream, _) = listener.accept().unwrap();
    let dialled = stream.local_addr().unwrap();
    stream.set_nonblocking(false).unwrap();
    write!(stream, "{}", dialled.ip().to_canonical()).unwrap();
    dialled
}

async fn said(mut child: Child) -> (String, ExitStatus) {
    let mut said = String::new();
    drop(child.stdin);
    child.stdout.read_to_string(&mut said).await.unwrap();
    let status = child.process.exited().await;
    tokio::time::sleep(Duration::from_millis(20)).await;
    (said + &child.stderr.tail(), status)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_address_leads_to_the_gateway_which_sees_what_was_dialled() {
    let spawner = spawner(&[]);
    let script = "import socket\n\
        for host, port in [('93.184.216.34', 443), ('169.254.169.254', 80), ('2001:db8::7', 443), ('::1', 3128), ('127.0.0.1', 53)]:\n\
        \x20 print(socket.create_connection((host, port), 10).makefile().read())";
    let mut child = spawner.spawn(&python(script).network(Network::Gateway)).await.unwrap();
    let sockets = child.take_sockets().unwrap();
    assert!(child.take_sockets().is_none());
    let ports: Vec<u16> = sockets.tcp.iter().map(|(port, _)| *port).collect();
    assert_eq!(ports, TCP_PORTS);
    let served = tokio::task::spawn_blocking(move || {
        let at = |port| &sockets.tcp.iter().find(|(one, _)| *one == port).unwrap().1;
        [443, 80, 443, 3_128, 53].map(|port| tell_what_was_dialled(at(port)).ip().to_canonical().to_string())
    });
    let served = served.await.unwrap();
    assert_eq!(served, ["93.184.216.34", "169.254.169.254", "2001:db8::7", "::1", "127.0.0.1"]);
    let (said, status) = said(child).await;
    assert_eq!(said.lines().collect::<Vec<_>>(), served);
    assert_eq!(status, ExitStatus::Exited(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_other_port_is_caught_and_the_gateway_sees_which_was_dialled() {
    let spawner = spawner(&[]);
    let script = "import socket\n\
        for host, port in [('93.184.216.34', 5432), ('2001:db8::7', 22), ('100.64.1.0', 65535), ('10.0.0.1', 2), ('fd9b::1', 8080)]:\n\
        \x20 print(socket.create_connection((host, port), 10).makefile().read())";
    let command = python(script).network(Network::Gateway).require(LayerName::TransparentProxy);
    let mut child = spawner.spawn(&command).await.unwrap();
    let rest = child.take_sockets().unwrap().rest.unwrap();
    let served = tokio::task::spawn_blocking(move || [(); 5].map(|()| tell_what_was_dialled(&rest)));
    let served =
        served.await.unwrap().map(|dialled| (dialled.ip().to_canonical().to_string(), dialled.port()));
    let dialled = [
        ("93.184.216.34", 5_432),
        ("2001:db8::7", 22),
        ("100.64.1.0", 65_535),
        ("10.0.0.1", 2),
        ("fd9b::1", 8_080),
    ];
    assert_eq!(served, dialled.map(|(host, port)| (host.to_owned(), port)));
    let (said, status) = said(child).await;
    assert_eq!(said.lines().collect::<Vec<_>>(), dialled.map(|(host, _)| host));
    assert_eq!(status, ExitStatus::Exited(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_caught_carries_any_amount_both_ways_and_ends_as_it_should() {
    let spawner = spawner(&[]);
    let script = "import socket, threading\n\
        s = socket.create_connection(('192.0.2.1', 9000), 10)\n\
        threading.Thread(target=lambda: (s.sendall(b'x' * 20_000_000), s.shutdown(socket.SHUT_WR))).start()\n\
        got = 0\n\
        while part := s.recv(1 << 16): got += len(part)\n\
        print(got)";
    let mut child = spawner.spawn(&python(script).network(Network::Gateway)).await.unwrap();
    let rest = child.take_sockets().unwrap().rest.unwrap();
    let echo = tokio::task::spawn_blocking(move || {
        rest.set_nonblocking(false).unwrap();
        let (stream, _) = rest.accept().unwrap();
        stream.set_nonblocking(false).unwrap();
        std::io::copy(&mut &stream, &mut &stream).unwrap()
    });
    assert_eq!(said(child).await.0, "20000000\n");
    assert_eq!(echo.await.unwrap(), 20_000_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_program_listens_on_itself_is_its_own_and_so_is_loopback() {
    let spawner = spawner(&[]);
    let script = "import socket\n\
        own = socket.create_server(('0.0.0.0', 7000)); six = socket.create_server(('::1', 7001), family=socket.AF_INET6)\n\
        for host, port, server in [('127.0.0.1', 7000, own), ('10.9.8.7', 7000, own), ('::1', 7001, six)]:\n\
        \x20 c = socket.create_connection((host, port), 10); server.accept()[0].sendall(b'own'); print(c.recv(9).decode())\n\
        for host in ['127.0.0.1', '127.9.9.9', '::1', '::ffff:127.0.0.1']:\n\
        \x20 try: socket.create_connection((host, 7002), 10); print('caught')\n\
        \x20 except OSError as e: print(e.strerror)\n\
        s = socket.socket(); s.settimeout(10)\n\
        try: s.bind(('0.0.0.0', 1)); print('bound')\n\
        except OSError as e: print(e.strerror)\n\
        u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); u.connect(('192.0.2.1', 4433)); u.settimeout(10)\n\
        try: u.send(b'x'); u.recv(9)\n\
        except OSError as e: print(e.strerror)";
    let mut child = spawner.spawn(&python(script).network(Network::Gateway)).await.unwrap();
    let sockets = child.take_sockets().unwrap();
    let refused = "Connection refused";
    let expected = ["own", "own", "own", refused, refused, refused, refused, "Permission denied", refused];
    assert_eq!(said(child).await.0.lines().collect::<Vec<_>>(), expected);
    assert_eq!(sockets.rest.unwrap().accept().unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_that_is_used_again_at_once_is_caught_again() {
    let spawner = spawner(&[]);
    // The same port on this side each time, whose last connection the other side ended first, so that it lingers there.
    let script = "import socket\n\
        for turn in range(3):\n\
        \x20 s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1); s.bind(('', 40000)); s.settimeout(10)\n\
        \x20 s.connect(('192.0.2.1', 9000)); print(s.makefile().read()); s.close()";
    let mut child = spawner.spawn(&python(script).network(Network::Gateway)).await.unwrap();
    let rest = child.take_sockets().unwrap().rest.unwrap();
    let served = tokio::task::spawn_blocking(move || [(); 3].map(|()| tell_what_was_dialled(&rest).port()));
    assert_eq!(said(child).await.0, "192.0.2.1\n".repeat(3));
    assert_eq!(served.await.unwrap(), [9_000; 3]);
}

/// Where a packet was to, by a message of the kernel's: what is told of it last begins with the head of IP.
fn to(message: &[u8]) -> (IpAddr, u16) {
    let mut rest = &message[20..];
    loop {
        let (length, kind) = (usize::from(u16::from_ne_bytes([rest[0], rest[1]])), rest[2]);
        if kind == 9 {
            let head = &rest[4..length];
            let is_v4 = head[0] >> 4 == 4;
            let address = if is_v4 {
                IpAddr::from(<[u8; 4]>::try_from(&head[16..20]).unwrap())
            } else {
                IpAddr::from(<[u8; 16]>::try_from(&head[24..40]).unwrap())
            };
            let udp = if is_v4 { 20 } else { 40 };
            return (address, u16::from_be_bytes([head[udp + 2], head[udp + 3]]));
        }
        rest = &rest[length.next_multiple_of(4)..];
    }
}

/// Everything that the kernel has told.
fn heard(unseen: &std::os::fd::OwnedFd) -> Vec<(IpAddr, u16)> {
    let mut buffer = [0; 4_096];
    let mut all = Vec::new();
    loop {
        match rustix::net::recv(unseen, &mut buffer, rustix::net::RecvFlags::DONTWAIT) {
            Ok((length, _)) => all.push(to(&buffer[..length])),
            // More came than there was room for; what there was room for follows.
            Err(rustix::io::Errno::NOBUFS) => {}
            Err(_) => return all,
        }
    }
}

/// Sends datagrams to the addresses that are its arguments and says what became of each.
const SENDS: &str = "import socket
def send(host, port):
    s = socket.socket(socket.AF_INET6 if ':' in host else socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(10)
    try: s.connect((host, port)); s.send(b'x' * 900); print(s.recv(9).decode())
    except OSError as e: print(e.strerror)
";

#[tokio::test(flavor = "multi_thread")]
async fn datagrams_that_nobody_takes_are_refused_at_once_and_told() {
    let spawner = spawner(&[]);
    let script = format!(
        "{SENDS}\
         own = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); own.bind(('0.0.0.0', 7000))\n\
         for host, port in [('93.184.216.34', 443), ('2001:db8::7', 9999), ('127.0.0.1', 9998), ('::1', 9997)]: send(host, port)\n\
         a = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); a.sendto(b'to itself', ('10.9.8.7', 7000)); print(own.recv(9).decode())\n\
         q = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); q.sendto(b'question', ('8.8.8.8', 53)); print(q.recv(9).decode())"
    );
    let command = python(&script).network(Network::Gateway).require(LayerName::TransparentProxy);
    let mut child = spawner.spawn(&command).await.unwrap();
    let sockets = child.take_sockets().unwrap();
    let unseen = sockets.unseen.unwrap();
    let answered = tokio::task::spawn_blocking(move || answer_one(&sockets.udp[0].1));
    let refused = "Connection refused";
    let (said, status) = said(child).await;
    assert_eq!(said.lines().collect::<Vec<_>>(), [refused, refused, refused, refused, "to itself", "answer"]);
    assert_eq!(status, ExitStatus::Exited(0));
    answered.await.unwrap();
    let expected: [(IpAddr, u16); 2] =
        [("93.184.216.34".parse().unwrap(), 443), ("2001:db8::7".parse().unwrap(), 9_999)];
    // Not what is its own, nor names.
    assert_eq!(heard(&unseen), expected);
}

#[tokio::test]
async fn a_flood_of_datagrams_is_refused_whole_and_told_in_part() {
    let spawner = spawner(&[]);
    let script = "import socket\n\
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n\
        for i in range(20000):\n\
        \x20 try: s.sendto(b'x', ('192.0.2.1', 443))\n\
        \x20 except OSError: pass";
    let mut child = spawner.spawn(&python(script).network(Network::Gateway)).await.unwrap();
    let unseen = child.take_sockets().unwrap().unseen.unwrap();
    assert_eq!(said(child).await.1, ExitStatus::Exited(0));
    let told = heard(&unseen).len();
    // As many as there may be at once; a slow machine takes some seconds for all.
    assert!((50..10_000).contains(&told), "{told}");
}

/// Receives a datagram and answers it. The kernel wants to say to which address it was sent: here is no room for
/// that, and it says that it had no room.
fn answer_one(socket: &UdpSocket) -> IpAddr {
    use rustix::net::{RecvAncillaryBuffer, RecvFlags, ReturnFlags, recvmsg};
    socket.set_nonblocking(false).unwrap();
    let mut bytes = [0_u8; 512];
    let mut parts = [std::io::IoSliceMut::new(&mut bytes)];
    let mut ancillary = RecvAncillaryBuffer::default();
    let message = recvmsg(socket, &mut parts, &mut ancillary, RecvFlags::empty()).unwrap();
    assert!(message.flags.contains(ReturnFlags::CTRUNC), "no address comes with datagrams");
    let from = SocketAddr::try_from(message.address.unwrap()).unwrap();
    socket.send_to(b"answer", from).unwrap();
    from.ip()
}

#[tokio::test(flavor = "multi_thread")]
async fn datagrams_to_any_name_server_arrive() {
    let spawner = spawner(&[]);
    let script = "import socket\n\
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(10)\n\
        s.sendto(b'question', ('8.8.8.8', 53)); print(s.recvfrom(99)[0].decode())";
    let mut child = spawner.spawn(&python(script).network(Network::Gateway)).await.unwrap();
    let sockets = child.take_sockets().unwrap();
    assert_eq!(sockets.udp.iter().map(|(port, _)| *port).collect::<Vec<_>>(), UDP_PORTS);
    let from = tokio::task::spawn_blocking(move || answer_one(&sockets.udp[0].1)).await.unwrap();
    assert!(from.to_canonical().is_ipv4());
    let (said, _) = said(child).await;
    assert_eq!(said, "answer\n");
}

#[tokio::test]
async fn without_a_network_nothing_answers_and_with_the_machines_its_loopback_does() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        while let Ok((mut stream, _)) = listener.accept() {
            let _ = stream.write_all(b"the machine");
        }
    });
    let script = format!(
        "import socket\ntry: print(socket.create_connection(('127.0.0.1', {port}), 5).recv(99).decode())\nexcept OSError as e: print(e.strerror)"
    );
    let spawner = spawner(&[]);
    let mut direct = String::new();
    TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap().read_to_string(&mut direct).unwrap();
    assert_eq!(direct, "the machine");
    let host = run(&spawner, &python(&script)).await;
    assert_eq!(host.stdout, "the machine\n", "{}", host.stderr);
    let none = run(&spawner, &python(&script).network(Network::None)).await;
    assert_eq!(none.stdout, "Network is unreachable\n", "{}", none.stderr);
    let gateway = run(&spawner, &python(&script).network(Network::Gateway)).await;
    assert_eq!(gateway.stdout, "Connection refused\n", "{}", gateway.stderr);
}

/// Dials where a child serves, and says of each whether somebody answered.
const DIALS: &str = "import socket
def dialled(family, kind, address):
    s = socket.socket(family, kind); s.settimeout(1)
    try:
        s.connect(address); s.send(b'question')
        return 'answered' if s.recv(9) == b'answer' else 'ended'
    except OSError: return 'nothing'
def dial():
    four, unix, tcp, udp = socket.AF_INET, socket.AF_UNIX, socket.SOCK_STREAM, socket.SOCK_DGRAM
    here = ['127.0.0.1', '127.7.7.7', '10.9.8.7']
    all = [dialled(four, tcp, (host, 8080)) for host in here] + [dialled(four, udp, (host, 8080)) for host in here[:1]]
    return ' '.join(all + [dialled(unix, tcp, name) for name in ('\\0ringfence-child', '/tmp/ringfence-child')])
";

#[tokio::test]
async fn two_children_do_not_reach_each_other() {
    let serves = "import threading, sys
def answer(server):
    while True:
        c, _ = server.accept(); c.sendall(b'answer')
def answer_datagrams(server):
    while True: server.sendto(b'answer', server.recvfrom(9)[1])
def unix(name):
    s = socket.socket(socket.AF_UNIX); s.bind(name); s.listen(); return s
for one in (socket.create_server(('0.0.0.0', 8080)), unix('\\0ringfence-child'), unix('/tmp/ringfence-child')):
    threading.Thread(target=answer, args=[one], daemon=True).start()
u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); u.bind(('0.0.0.0', 8080))
threading.Thread(target=answer_datagrams, args=[u], daemon=True).start()
print(dial(), flush=True); sys.stdin.read()";
    let spawner = spawner(&[]);
    let serves = python(&format!("{DIALS}{serves}")).network(Network::Gateway);
    let mut server = spawner.spawn(&serves).await.unwrap();
    let mut line = String::new();
    tokio::io::BufReader::new(&mut server.stdout).read_line(&mut line).await.unwrap();
    // The control: itself it does reach, at every address and name.
    assert_eq!(line.trim(), ["answered"; 6].join(" "), "{}", server.stderr.tail());
    let dials = python(&format!("{DIALS}print(dial())"));
    for network in [Network::Gateway, Network::None] {
        // Nobody stands behind the sockets of this one.
        let client = run(&spawner, &dials.clone().network(network)).await;
        assert!(!client.stdout.is_empty() && !client.stdout.contains("answered"), "{}", client.stdout);
    }
    assert!(server.stats().await.is_some(), "it was there all the time");
}

#[tokio::test]
async fn a_tool_server_can_have_a_network_of_its_own_too() {
    let spawner = spawner(&[]);
    let mut child = spawner.spawn(&shell("cat /proc/net/dev").network(Network::Gateway)).await.unwrap();
    assert!(child.take_sockets().is_some());
    assert!(child.process.layers().in_force(LayerName::NetworkNamespace));
    let (said, _) = said(child).await;
    let devices: Vec<&str> = said.lines().skip(2).filter_map(|line| line.split(':').next()).collect();
    assert_eq!(devices.iter().map(|name| name.trim()).collect::<Vec<_>>(), ["lo"]);
    let without: Ended = run(&spawner, &shell("true")).await;
    assert_eq!(without.status, ExitStatus::Exited(0));
}

#[tokio::test]
async fn names_are_looked_up_and_addresses_listed_without_rights_over_the_network() {
    // getaddrinfo(3) asks the kernel for addresses when it may; os.networkInterfaces and getifaddrs(3) must.
    let script = "import socket, ctypes, ctypes.util\n\
        print(socket.getaddrinfo('localhost', 80, type=socket.SOCK_STREAM)[0][4][0])\n\
        print(socket.if_nameindex())\n\
        libc = ctypes.CDLL(None, use_errno=True); p = ctypes.c_void_p(); print(libc.getifaddrs(ctypes.byref(p)))\n\
        s = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)\n\
        import struct\n\
        s.send(struct.pack('=IHHIIBBHiII', 32, 16, 5, 1, 0, 0, 0, 0, 1, 0, 1)); print(struct.unpack('=i', s.recv(99)[16:20])[0])\n\
        try: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 9); print('audit')\n\
        except OSError as e: print('refused')";
    let spawner = spawner(&[]);
    let own = run(&spawner, &python(script).network(Network::Gateway)).await;
    assert_eq!(own.stdout, "::1\n[(1, 'lo')]\n0\n-1\nrefused\n", "{}", own.stderr);
    // In the machine's network not even that, and names are looked up all the same.
    let script = "import socket\nprint(socket.getaddrinfo('localhost', 80, socket.AF_INET)[0][4][0])\n\
        try: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0); print('netlink')\n\
        except OSError as e: print('refused')";
    let host = run(&spawner, &python(script)).await;
    assert_eq!(host.stdout, "127.0.0.1\nrefused\n", "{}", host.stderr);
}

#[test]
fn all_of_this_holds_for_an_ordinary_user_too() {
    common::as_nobody(13);
}
