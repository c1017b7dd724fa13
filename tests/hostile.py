"""Programs that try to get out of the code sandbox, for `test_sandbox.py`.

Each says ESCAPED where it reaches what it should not. FILE, PORT, PYTHON and MARK are put in.
"""

HOSTILE = {
    "an endless loop": "while True: pass",
    "a loop that catches all": """
import signal
for number in range(1, 65):
    try: signal.signal(number, signal.SIG_IGN)
    except (OSError, ValueError): pass
while True:
    try:
        while True: pass
    except BaseException: pass
""",
    "a fork loop": """
import os
made = 0
try:
    while made < 100:
        if os.fork() == 0:
            import time; time.sleep(99)
        made += 1
except OSError: pass
print('ESCAPED' if made > 20 else made)
""",
    "a fork bomb": "import os\nwhile True:\n    try: os.fork()\n    except OSError: pass",
    "threads": """
import threading, time
made = 0
try:
    while made < 200:
        threading.Thread(target=time.sleep, args=(99,), daemon=True).start(); made += 1
except RuntimeError: pass
print('ESCAPED' if made > 50 else made)
import os; os._exit(0)
""",
    "much memory": "x = bytearray(1 << 30)\nprint('ESCAPED')",
    "memory in pieces": "x = []\nwhile True: x.append(bytearray(1 << 22))",
    "a large number": "print('ESCAPED' if 9 ** 9 ** 9 else '')",
    "a large file": """
with open('large', 'wb') as file:
    for _ in range(100): file.write(bytes(1 << 20)); file.flush()
print('ESCAPED')
""",
    "many files": """
for i in range(5000): open(f'f{i}', 'w').write('x')
print('ESCAPED')
""",
    "many large files": """
for i in range(50):
    with open(f'f{i}', 'wb') as file: file.write(bytes(1 << 20))
print('ESCAPED')
""",
    "open files": "kept = [open('main.py') for _ in range(500)]\nprint('ESCAPED')",
    "a flood on stderr": "import sys\nwhile True: sys.stderr.write('x' * 10000)",
    "a flood from a child": """
import os
if os.fork() == 0:
    while True: os.write(1, b'x' * 10000)
os.wait()
""",
    "writing outside": "open('FILE', 'w').write('gone'); print('ESCAPED')",
    "writing in /": "open('/note', 'w'); print('ESCAPED')",
    "writing in /tmp": "open('/tmp/note-MARK', 'w'); print('ESCAPED')",
    "writing to Python's own files": """
import os
with open(os.__file__, 'a') as file: file.write('#')
print('ESCAPED')
""",
    "up and out": "print('ESCAPED' if open('../' * 20 + 'FILE').read() else '')",
    "a symbolic link": """
import os
os.symlink('FILE', 'link'); print('ESCAPED', open('link').read())
""",
    "a hard link": "import os\nos.link('FILE', 'link'); print('ESCAPED')",
    "deleting": "import os, shutil\nshutil.rmtree('/', ignore_errors=True)\nos.remove('FILE')",
    "passwords": "print('ESCAPED', open('/etc/passwd').read())",
    "the processes of /proc": "import os\nprint('ESCAPED', os.listdir('/proc'))",
    "the environment of its parent": "print('ESCAPED', open('/proc/1/environ').read())",
    "devices": "print('ESCAPED', open('/dev/sda', 'rb').read(1))",
    "making a device": "import os\nos.mknod('d', 0o60600, os.makedev(8, 0)); print('ESCAPED')",
    "inherited handles": """
import os
for number in range(3, 300):
    try: print('ESCAPED', number, os.read(number, 100))
    except OSError: pass
""",
    "the environment": """
import os
if 'MINILRM_SECRET' in os.environ: print('ESCAPED')
""",
    "a socket to this machine": """
import socket
socket.create_connection(('127.0.0.1', PORT), 2); print('ESCAPED')
""",
    "a socket to the world": """
import socket
socket.create_connection(('1.1.1.1', 53), 2); print('ESCAPED')
""",
    "a datagram": """
import socket
socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('8.8.8.8', 53)); print('ESCAPED')
""",
    "a raw socket": """
import socket
socket.socket(socket.AF_PACKET, socket.SOCK_RAW); print('ESCAPED')
""",
    "an abstract socket": """
import os, socket
s = socket.socket(socket.AF_UNIX); s.connect(chr(0) + '/tmp/.X11-unix/X0'); print('ESCAPED')
""",
    "a child that lives on": """
import os, sys
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.close(1); os.close(2)
        os.execv('PYTHON', ['python', '-c', 'import time; time.sleep(99)', 'MARK'])
    os._exit(0)
os.wait()
import time; time.sleep(0.2)
print('parent ends')
""",
    "many that live on": """
import os
for _ in range(5):
    if os.fork() == 0:
        os.setsid()
        os.execv('PYTHON', ['python', '-c', 'import time; time.sleep(99)', 'MARK'])
while True: pass
""",
    "no death with its parent": """
import ctypes, os
ctypes.CDLL(None).prctl(1, 0)
os.setsid()
os.execv('PYTHON', ['python', '-c', 'import time; time.sleep(99)', 'MARK'])
""",
    "signals to all": "import os, signal\nos.kill(-1, signal.SIGKILL)",
    "signals to its parent": """
import os, signal
for pid in (os.getppid(), 1):
    try: os.kill(pid, signal.SIGKILL)
    except OSError: pass
print('still here')
""",
    "tracing init": """
import ctypes
print('ESCAPED' if ctypes.CDLL(None).ptrace(16, 1, 0, 0) == 0 else '')
""",
    "higher limits": """
import resource
resource.setrlimit(resource.RLIMIT_CPU, (1000, 1000)); print('ESCAPED')
""",
    "another user": "import os\nos.setuid(0); print('ESCAPED')",
    "a mount": """
import ctypes
if ctypes.CDLL(None).mount(b'none', b'/box', b'tmpfs', 0, None) == 0: print('ESCAPED')
""",
    "another root": "import os\nos.chroot('.'); print('ESCAPED')",
    "the host's name": "import socket\nsocket.sethostname('mine'); print('ESCAPED')",
    "a set-uid file": """
import os
os.chmod('main.py', 0o6777)
os.execv('/usr/bin/su', ['su', '-c', 'echo ESCAPED'])
""",
    "the kernel's memory": "open('/dev/mem', 'rb'); print('ESCAPED')",
    "deep syntax": "x = " + "(" * 5000 + ")" * 5000,
    "deep recursion": "import sys\nsys.setrecursionlimit(10**9)\ndef f(): f()\nf()",
    "machine code": "import ctypes\nctypes.string_at(0)",
    "reading for ever": "input()",
    "a pipe of its own": "import os\nos.mkfifo('pipe')\nopen('pipe').read()",
    "a bomb of nested lists": "a = 0\nfor _ in range(60): a = [a, a]\nprint(len(repr(a)))",
    "compressed": "import zlib\nx = zlib.compress(bytes(1 << 28))\nprint('ESCAPED')",
}

# Raw system calls: NR_name is the number of a call on this machine.
CALL = """
import ctypes, os, sys
call = ctypes.CDLL(None, use_errno=True).syscall
def escaped(outcome):
    if outcome >= 0: print('ESCAPED', outcome, flush=True)
"""
RAW = {
    "a namespace of users": "escaped(call(NR_unshare, 0x10000000))",
    "a namespace of networks": "escaped(call(NR_unshare, 0x40000000))",
    "a namespace by clone": """
made = call(NR_clone, 0x10000000 | 17, 0, 0, 0, 0)
if made == 0: os._exit(0)
escaped(made)
""",
    "a namespace by clone3": """
asked = (ctypes.c_uint64 * 8)(0x10000000, 0, 0, 0, 17)
made = call(NR_clone3, asked, 64)
if made == 0: os._exit(0)
escaped(made)
""",
    "entering a namespace": "escaped(call(NR_setns, 0, 0))",
    "io_uring": "escaped(call(NR_io_uring_setup, 8, ctypes.create_string_buffer(120)))",
    "io_uring, entering": "escaped(call(NR_io_uring_enter, 0, 0, 0, 0, 0, 0))",
    "a program for the kernel": "escaped(call(NR_bpf, 0, ctypes.create_string_buffer(72), 72))",
    "being traced": "escaped(call(NR_ptrace, 0, 0, 0, 0))",
    "tracing a child": """
child = os.fork()
if child == 0:
    import time; time.sleep(99)
escaped(call(NR_ptrace, 16, child, 0, 0))
""",
    "the memory of its parent": """
here = ctypes.create_string_buffer(8)
both = (ctypes.c_uint64 * 2)(ctypes.addressof(here), 8)
escaped(call(NR_process_vm_readv, 1, both, 1, both, 1, 0))
""",
    "the keys of the kernel": """
escaped(call(NR_add_key, b'user', b'note', b'x', 1, -3))
""",
    "keys that others left": "escaped(call(NR_keyctl, 0, -3, 0))",
    "a module": "escaped(call(NR_init_module, b'x', 1, b''))",
    "another kernel": "escaped(call(NR_kexec_load, 0, 0, 0, 0))",
    "a restart": "escaped(call(NR_reboot, 0xfee1dead, 672274793, 0x1234567, 0))",
    "counters of the processor": """
asked = ctypes.create_string_buffer(bytes([1, 0, 0, 0, 112, 0, 0, 0]), 112)
escaped(call(NR_perf_event_open, asked, 0, -1, -1, 0))
""",
    "page faults of its own": "escaped(call(NR_userfaultfd, 1))",
    "an old personality": "escaped(call(NR_personality, 0x0040000))",
    "a handle of a file": """
handle = ctypes.create_string_buffer(136); handle[0] = 128
escaped(call(NR_name_to_handle_at, -100, b'/box', handle, ctypes.byref(ctypes.c_int()), 0))
""",
    "a file by its handle": "escaped(call(NR_open_by_handle_at, 0, bytes(16), 0))",
    "a mount of the new kind": "escaped(call(NR_fsopen, b'tmpfs', 0))",
    "a copy of a mount": "escaped(call(NR_open_tree, -100, b'/box', 1))",
    "the kernel's log": "escaped(call(NR_syslog, 10, 0, 0))",
    "the clock": "escaped(call(NR_settimeofday, (ctypes.c_long * 2)(1, 0), 0))",
    "memory that is in no limit": """
for i in range(1000):
    made = call(NR_shmget, 0, ctypes.c_size_t(1 << 26), 0o1600)
    escaped(made)
    if made < 0: break
""",
    "files in memory": "escaped(call(NR_memfd_create, b'note', 0))",
    "aio": "escaped(call(NR_io_setup, 60000, ctypes.byref(ctypes.c_ulong())))",
    "taking the filter away": "escaped(ctypes.CDLL(None).prctl(22, 0, 0, 0, 0))",
    "new rights": "escaped(ctypes.CDLL(None).prctl(38, 0, 0, 0, 0))",
    "typing into a terminal": """
import fcntl
for number in range(3): fcntl.ioctl(number, 0x5412, b'x')
print('ESCAPED')
""",
    "numbers of another interface": "escaped(call(0x40000000 | 39))",
    "calls of 32 bits": """
import mmap, platform
if platform.machine() != 'x86_64': sys.exit()
page = mmap.mmap(-1, 4096, prot=7)
page.write(bytes.fromhex('b814000000cd80c3'))  # mov eax, 20; int 0x80; ret
escaped(ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(page)))())
""",
    "the machine that holds this one": """
import socket
socket.socket(40, socket.SOCK_STREAM); print('ESCAPED')
""",
    "the kernel's own socket": """
import socket
socket.socket(socket.AF_NETLINK, socket.SOCK_RAW); print('ESCAPED')
""",
    "the kernel's ciphers": "import socket\nsocket.socket(38, 5); print('ESCAPED')",
    "a socket that listens": "import socket\nsocket.create_server(('', 0)); print('ESCAPED')",
    "what stands beside its folder": "print('ESCAPED', os.listdir('/'))",
    "its report": """
for number in range(3, 300):
    try: os.write(number, b'{"status": 0}'); print('ESCAPED')
    except OSError: pass
""",
    "stopping": "import signal\nos.kill(os.getpid(), signal.SIGSTOP)",
    "stopping all": "import signal\nos.kill(-1, signal.SIGSTOP)\nwhile True: pass",
    "starting itself again": """
while True: os.execv('PYTHON', ['python', '-I', '-S', 'main.py'])
""",
    "children that are never fetched": """
while True:
    try:
        if os.fork() == 0: os._exit(0)
    except OSError: pass
""",
    "a file with a hole": "open('f', 'w').truncate(1 << 40); print('ESCAPED')",
    "deep folders": """
for i in range(5000): os.mkdir('d'); os.chdir('d')
print('ESCAPED')
""",
    "a circle of links": "os.symlink('a', 'b'); os.symlink('b', 'a'); open('a'); print('ESCAPED')",
    "more time than others": "os.nice(-5); print('ESCAPED')",
    "a slow pattern": "import re\nre.match('(a+)+$', 'a' * 60 + 'b')",
    "deep syntax of signs": "eval('-' * 200_000 + '1')",
    "deep syntax of names": "compile('a' + '.a' * 100_000, '', 'eval')",
    "fat pipes": """
import fcntl
for i in range(500): fcntl.fcntl(os.pipe()[1], 1031, 1 << 24)
print('ESCAPED')
""",
}
HOSTILE |= {name: CALL + program for name, program in RAW.items()}
