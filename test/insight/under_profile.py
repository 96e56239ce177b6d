"""under_profile.py PROFILE COMMAND... - runs a command under a seccomp profile, as container runtimes do.

Exit status 77 if there is no libseccomp.
"""
import ctypes
import json
import os
import sys

try:
    library = ctypes.CDLL('libseccomp.so.2')
except OSError:
    sys.exit(77)
library.seccomp_init.restype = ctypes.c_void_p
library.seccomp_init.argtypes = [ctypes.c_uint32]
library.seccomp_rule_add.argtypes = [ctypes.c_void_p, ctypes.c_uint32, ctypes.c_int, ctypes.c_uint]
library.seccomp_load.argtypes = [ctypes.c_void_p]
ALLOW, ERRNO = 0x7fff0000, 0x00050000

profile = json.load(open(sys.argv[1]))
assert profile['defaultAction'] == 'SCMP_ACT_ERRNO'
rules = library.seccomp_init(ERRNO | profile['defaultErrnoRet'])
for rule in profile['syscalls']:
    assert rule['action'] == 'SCMP_ACT_ALLOW'
    for name in rule['names']:
        number = library.seccomp_syscall_resolve_name(name.encode())
        # Negative numbers are those of other processors.
        if number >= 0 and library.seccomp_rule_add(rules, ALLOW, number, 0) != 0:
            sys.exit(f'{name}: no rule')
if library.seccomp_load(rules) != 0:
    sys.exit('the profile cannot be loaded')
os.execvp(sys.argv[2], sys.argv[2:])
