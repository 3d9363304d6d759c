"""Ways out of a box. Each function below raises an error of the system or returns what it got; False is a failure.

`attempts.py NAME PID MARK`: PID is a process of the machine with MARK in its environment; MARK is also the name of an
abstract socket. Which of them work for whom outside stands in the comment above each.
"""

import ctypes, errno, fcntl, mmap, os, socket, struct, subprocess, sys, termios, time

libc = ctypes.CDLL(None, use_errno=True)
_, NAME, PID, MARK = sys.argv


def call(number, *arguments):
    return told(libc.syscall(ctypes.c_long(number), *[ctypes.c_long(a) if isinstance(a, int) else a for a in arguments]))


def told(got):
    if got < 0:
        raise OSError(ctypes.get_errno(), "refused")
    return got


def child():
    pid = os.fork()
    if pid == 0:
        libc.prctl(1, 9)
        os.closerange(0, 9)
        time.sleep(30)
        os._exit(0)
    return pid


# Superuser
def list_the_home_of_root():
    os.listdir('/root')


# Anyone
def list_homes():
    os.listdir('/home')


# Superuser
def read_the_shadow_file():
    open('/etc/shadow').read()


# Anyone
def read_the_machines_host_key_folder():
    os.listdir('/etc/ssh')


# Anyone
def look_into_sys():
    os.listdir('/sys/kernel')


# Anyone
def look_into_var():
    os.listdir('/var')


# Anyone
def see_a_process_of_the_machine():
    os.stat(f'/proc/{PID}')


# Anyone
def read_the_environment_of_others():
    for pid in filter(str.isdigit, os.listdir('/proc')):
        try:
            text = open(f'/proc/{pid}/environ').read()
        except OSError:
            continue
        if 'MARK=' + MARK in text:
            return True
    return False


# Anyone
def signal_a_process_of_the_machine():
    os.kill(int(PID), 0)


# Anyone
def read_the_memory_of_the_process_above():
    open(f'/proc/{os.getppid()}/mem', 'rb').close()


# Anyone
def read_the_environment_of_the_process_above():
    open(f'/proc/{os.getppid()}/environ').read()


def of_those_above(what):
    # The process that started this one, and the first of all, unless that is this one itself. Of the latter not even
    # root sees anything on some machines, so that only the first is a control.
    refused = FileNotFoundError(errno.ENOENT, 'there is none')
    for pid in {os.getppid(), 1} - {0, os.getpid()}:
        try:
            return what(f'/proc/{pid}')
        except OSError as error:
            refused = error
    raise refused


# Anyone
def stand_in_the_root_of_processes_above():
    of_those_above(lambda above: os.listdir(above + '/root/'))


# Anyone
def stand_where_processes_above_stand():
    of_those_above(lambda above: os.listdir(above + '/cwd/'))


# Anyone
def open_the_program_of_processes_above():
    of_those_above(lambda above: open(above + '/exe', 'rb').close())


# Anyone
def read_where_the_program_of_processes_above_is():
    of_those_above(lambda above: os.readlink(above + '/exe'))


def of_descriptors_of_those_above(what):
    # One by one: that a number is in use says nothing, and whoever may not list them may still open them.
    for descriptor in range(32):
        try:
            what(f'/fd/{descriptor}')
            return True
        except OSError:
            pass
    return False


# Anyone
def read_what_descriptors_of_processes_above_lead_to():
    return of_descriptors_of_those_above(lambda one: of_those_above(lambda above: os.readlink(above + one)))


# Anyone
def open_what_descriptors_of_processes_above_lead_to():
    mode = os.O_RDONLY | os.O_NONBLOCK
    return of_descriptors_of_those_above(lambda one: of_those_above(lambda above: os.open(above + one, mode)))


# Superuser
def write_to_a_program_by_its_process():
    # The kernel lets nobody write to one that runs. What is held of it until it has ended could be written to then.
    program = subprocess.Popen(['/usr/bin/tac'], stdin=subprocess.PIPE)
    held = os.open(f'/proc/{program.pid}/exe', os.O_PATH)
    program.communicate(b'')
    os.close(os.open(f'/proc/self/fd/{held}', os.O_WRONLY))


# Anyone
def have_a_descriptor_that_was_not_meant_for_it():
    for descriptor in range(3, 1024):
        try:
            os.fstat(descriptor)
            return True
        except OSError:
            pass
    return False


# Superuser
def write_a_switch_of_the_kernel():
    open('/proc/sys/kernel/core_pattern', 'r+').close()


# Superuser
def read_the_kernels_keys():
    return len(open('/proc/keys').read()) > 0


# Superuser
def read_the_page_flags_of_the_machine():
    return len(open('/proc/kpageflags', 'rb').read(8)) > 0


# InNamespaces
def mount():
    told(libc.mount(b'none', b'/tmp', b'tmpfs', 0, b''))


# InNamespaces
def unmount():
    told(libc.mount(b'none', b'/tmp', b'tmpfs', 0, b''))
    told(libc.umount2(b'/tmp', 2))


# InNamespaces
def unmount_what_covers():
    libc.mount(b'none', b'/dev/shm', b'tmpfs', 0, b'')
    told(libc.umount2(b'/dev/shm', 2))


# InNamespaces
def remount_writable():
    libc.mount(b'none', b'/tmp', b'tmpfs', 1, b'')
    told(libc.mount(b'none', b'/tmp', b'', 32, b''))


# InNamespaces
def open_a_tree_of_mounts():
    call(428, -100, b'/', 0x8001)


# InNamespaces
def open_a_file_system():
    call(430, b'tmpfs', 0)


# InNamespaces
def change_the_root():
    os.chroot('/tmp')


# InNamespaces
def pivot_the_root():
    libc.mount(b'none', b'/tmp', b'tmpfs', 0, b'')
    os.chdir('/tmp')
    call(155, b'.', b'.')


# Anyone
def make_a_user_namespace():
    call(272, 0x10000000)


# Anyone
def be_cloned_into_a_user_namespace():
    if call(56, 0x10000000 | 17, 0, 0, 0, 0) == 0:
        os._exit(0)


# Anyone
def be_cloned_by_the_new_call_whose_flags_no_filter_sees():
    arguments = struct.pack('=11Q', 0x10000000, 0, 0, 0, 17, 0, 0, 0, 0, 0, 0)
    if call(435, arguments, len(arguments)) == 0:
        os._exit(0)


# InNamespaces
def enter_a_namespace():
    call(308, os.open('/proc/self/ns/uts', os.O_RDONLY), 0)


# Anyone
def trace_a_child():
    call(101, 0x4206, child(), 0, 0)


# Anyone
def read_the_memory_of_a_child():
    there = ctypes.create_string_buffer(8)
    vector = struct.pack('=QQ', ctypes.addressof(there), 8)
    call(310, child(), vector, 1, vector, 1, 0)


# Anyone
def take_a_descriptor_of_a_child():
    kept = fcntl.fcntl(os.open('/dev/null', os.O_RDONLY), fcntl.F_DUPFD, 20)
    call(438, call(434, child(), 0), kept, 0)


# InNamespaces
def send_a_raw_packet():
    socket.socket(socket.AF_INET, socket.SOCK_RAW, 1)


# InNamespaces
def send_a_raw_packet_over_ipv6():
    socket.socket(socket.AF_INET6, socket.SOCK_RAW, 58)


# InNamespaces
def send_a_raw_frame():
    socket.socket(17, socket.SOCK_RAW, 0)


# InNamespaces
def bring_a_device_of_the_network_down():
    s = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)
    s.send(struct.pack('=IHHIIBBHiII', 32, 16, 5, 1, 0, 0, 0, 0, 1, 0, 1))
    code = struct.unpack('=i', s.recv(99)[16:20])[0]
    if code:
        raise OSError(-code, 'refused')


# Anyone
def reach_a_socket_of_the_machine_by_its_abstract_name():
    socket.socket(socket.AF_UNIX).connect('\0' + MARK)


# Anyone
def add_a_key():
    call(248, b'user', b'ringfence', b'x', 1, -2)


# Anyone
def ask_for_a_key_ring():
    call(250, 0, -2, 1)


# Anyone
def use_io_uring():
    call(425, 4, ctypes.create_string_buffer(120))


# Superuser
def load_a_program_into_the_kernel():
    call(321, 0, struct.pack('=5I', 2, 4, 4, 1, 0) + bytes(108), 128)


# Superuser
def count_events_of_the_processor():
    call(298, struct.pack('=IIQ', 1, 112, 0) + bytes(96), 0, -1, -1, 0)


# Superuser
def handle_faults_of_memory():
    call(323, 0)


# Superuser
def open_a_file_by_its_handle():
    handle = ctypes.create_string_buffer(struct.pack('=Ii', 128, 0) + bytes(128))
    mount = ctypes.c_int()
    call(303, -100, b'/usr', handle, ctypes.byref(mount), 0)
    call(304, os.open('/usr', os.O_RDONLY), handle, 0)


# Superuser
def make_a_disk():
    os.mknod('/tmp/ringfence-disk', 0o060600, os.makedev(7, 0))
    os.unlink('/tmp/ringfence-disk')


# Superuser
def read_the_kernels_log():
    call(103, 10, 0, 0)


# Superuser
def type_into_a_terminal():
    fcntl.ioctl(os.openpty()[1], termios.TIOCSTI, b'x')


# InNamespaces
def change_the_hosts_name():
    socket.sethostname('elsewhere')


# Anyone
def ask_for_the_clocks_adjustment():
    call(305, 0, ctypes.create_string_buffer(256))


def judged(number, *arguments):
    # A kernel that looks at what is no module has asked for no rights, or found them.
    try:
        call(number, *arguments)
    except OSError as refused:
        if refused.errno in (errno.EPERM, errno.EACCES, errno.ENOSYS):
            raise


# WithModules
def load_a_module():
    judged(175, b'no module', 9, b'')


# WithModules
def load_a_module_from_a_file():
    judged(313, os.open('/usr/bin/tac', os.O_RDONLY), b'', 0)


# WithModules
def unload_a_module():
    judged(176, b'ringfence_no_such_module', os.O_NONBLOCK)


# Superuser
def set_the_clock():
    now = time.clock_gettime_ns(time.CLOCK_REALTIME)
    call(227, 0, struct.pack('=qq', now // 10**9, now % 10**9))


# Superuser
def set_the_clock_by_the_old_call():
    # The kernel's time zone, which nothing uses: to what it is.
    zone = ctypes.create_string_buffer(8)
    told(libc.gettimeofday(ctypes.create_string_buffer(16), zone))
    call(164, None, zone)


# Superuser
def adjust_the_clock():
    # Its tick, to what it is.
    clock = ctypes.create_string_buffer(208)
    call(159, clock)
    struct.pack_into('=I', clock, 0, 0x4000)
    call(159, clock)


# Superuser
def move_to_another_cgroup():
    for folder, _, files in os.walk('/sys/fs/cgroup'):
        if 'cgroup.procs' in files:
            return open(f'{folder}/cgroup.procs', 'w').write('0') > 0
    return False


def cgroups_at_tmp(kind, options):
    # In mounts of its own, where it may, so that nothing of this stays.
    if libc.unshare(0x20000) == 0:
        told(libc.mount(b'none', b'/', None, 0x44000, None))
    told(libc.mount(b'none', b'/tmp', kind, 0, options))


# InNamespaces
def mount_cgroups():
    cgroups_at_tmp(b'cgroup2', b'')


# Superuser
def move_to_another_cgroup_by_a_mount_of_its_own():
    cgroups_at_tmp(b'cgroup2', b'')
    open('/tmp/cgroup.procs', 'w').write('0')


# Superuser
def name_a_program_that_the_kernel_starts_for_an_empty_cgroup():
    cgroups_at_tmp(b'cgroup', b'none,name=ringfence-test')
    open('/tmp/release_agent', 'r+').close()


# Superuser
def write_into_usr():
    open('/usr/ringfence-test', 'w').close()
    os.unlink('/usr/ringfence-test')


# Superuser
def write_into_etc():
    open('/etc/ringfence-test', 'w').close()
    os.unlink('/etc/ringfence-test')


# Superuser
def write_into_the_root():
    os.mkdir('/ringfence-test')
    os.rmdir('/ringfence-test')


def made(how):
    path = f'/tmp/ringfence-{MARK}-{NAME}'
    try:
        how(path)
        return os.stat(path).st_mode & 0o6000 != 0
    finally:
        if os.path.exists(path):
            os.unlink(path)


# Anyone
def leave_a_program_with_the_rights_of_its_owner():
    return made(lambda path: (open(path, 'w').close(), os.chmod(path, 0o4755)))


# Anyone
def leave_a_program_with_the_rights_of_its_group():
    return made(lambda path: (open(path, 'w').close(), os.chmod(path, 0o2755)))


# Anyone
def give_the_rights_of_the_owner_to_an_open_file():
    return made(lambda path: os.fchmod(os.open(path, os.O_CREAT | os.O_WRONLY), 0o4755))


# Anyone
def make_a_file_with_the_rights_of_its_owner():
    return made(lambda path: os.open(path, os.O_CREAT | os.O_WRONLY, 0o4755))


# Anyone
def make_a_file_without_opening_it_with_the_rights_of_its_owner():
    return made(lambda path: os.mknod(path, 0o104755))


# Anyone
def make_a_file_by_the_call_whose_mode_no_filter_sees():
    return made(lambda path: call(437, -100, path.encode(), struct.pack('=QQQ', 0o101, 0o4755, 0), 24))


# Anyone
def gain_rights_by_a_program():
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.setresuid(65534, 65534, 65534)
        except OSError:
            pass
        for descriptor in (0, 1, 2):
            os.dup2(read if descriptor == 0 else write, descriptor)
        os.execv('/usr/bin/su', ['su'])
    time.sleep(0.3)
    status = open(f'/proc/{pid}/status').read()
    os.close(write)
    real, effective = status.split('Uid:')[1].split()[:2]
    return real != effective


# Anyone
def call_the_kernel_as_a_program_of_32_bits():
    code = mmap.mmap(-1, 4096, prot=7)
    code.write(b'\x53\xb8\x14\x00\x00\x00\xcd\x80\x5b\xc3')
    run = ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(code)))
    pid = os.fork()
    if pid == 0:
        os._exit(0 if run() > 0 else 1)
    return os.waitpid(pid, 0)[1] == 0


try:
    got = globals()[NAME]()
    print("no" if got is False else "yes")
except OSError as refused:
    print("no", errno.errorcode.get(refused.errno, refused.errno))
sys.stdout.flush()
os._exit(0)
