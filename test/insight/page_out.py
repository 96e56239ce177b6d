"""Takes pages away from a process, as the kernel does when memory is short: those of files, or its own, which are swapped
out. Status 77 if that is not permitted.

usage: page_out.py PROCESS [anonymous]
"""
import ctypes
import sys

PIDFD_OPEN, PROCESS_MADVISE, MADV_PAGEOUT = 434, 440, 21


class Range(ctypes.Structure):
    _fields_ = [("start", ctypes.c_void_p), ("size", ctypes.c_size_t)]


def main():
    pid = int(sys.argv[1])
    call = ctypes.CDLL(None, use_errno=True).syscall
    process = call(PIDFD_OPEN, pid, 0)
    taken = 0
    with open("/proc/%d/maps" % pid) as maps:
        for line in maps:
            fields = line.split()
            of_file = len(fields) == 6 and fields[5].startswith("/")
            if of_file != (len(sys.argv) > 2) and (of_file or fields[1].startswith("rw")):
                start, end = (int(place, 16) for place in fields[0].split("-"))
                part = Range(start, end - start)
                taken += call(PROCESS_MADVISE, process, ctypes.byref(part), 1, MADV_PAGEOUT, 0) > 0
    sys.exit(0 if taken else 77)


if __name__ == "__main__":
    main()
