"""Commands for gdb that ask the command mems about the process or the core at hand.

    (gdb) source /usr/local/share/mems/mems.gdb.py
    (gdb) mems-whatis EXPRESSION...
    (gdb) mems-stats
    (gdb) mems-map [EXPRESSION]
    (gdb) mems-check

No code runs in the process. MEMS in the environment names another command than the `mems` of the PATH.
"""
import os
import re
import subprocess

import gdb


def target():
    """What mems shall look at: the number of the process, or the path of the core."""
    core = re.search(r"core dump file:\s*`(.*)', file type", gdb.execute("info target", to_string=True))
    if core:
        return core.group(1)
    process = gdb.selected_inferior().pid
    if process == 0:
        raise gdb.GdbError("There is no process and no core.")
    return str(process)


def address(expression):
    """The value of an expression, as mems takes it."""
    value = gdb.parse_and_eval(expression)
    if value.type.strip_typedefs().code == gdb.TYPE_CODE_ARRAY:
        value = value.address
    return hex(int(value.cast(gdb.lookup_type("unsigned long"))))


def run(*words):
    done = subprocess.run([os.environ.get("MEMS", "mems"), *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          universal_newlines=True, check=False)
    gdb.write(done.stdout)


class Whatis(gdb.Command):
    """mems-whatis EXPRESSION... - what is at an address: block, class, state, owner, or which mapping."""

    def __init__(self):
        super().__init__("mems-whatis", gdb.COMMAND_DATA, gdb.COMPLETE_EXPRESSION)

    def invoke(self, argument, from_tty):
        expressions = gdb.string_to_argv(argument)
        if not expressions:
            raise gdb.GdbError("mems-whatis EXPRESSION...")
        run("whatis", *[address(expression) for expression in expressions], target())


class Stats(gdb.Command):
    """mems-stats - what holds the memory: rows that sum to the process's Rss."""

    def __init__(self):
        super().__init__("mems-stats", gdb.COMMAND_STATUS)

    def invoke(self, argument, from_tty):
        run("stats", target())


class Map(gdb.Command):
    """mems-map [EXPRESSION] - the heaps as pictures; with an address, its slab slot by slot."""

    def __init__(self):
        super().__init__("mems-map", gdb.COMMAND_DATA, gdb.COMPLETE_EXPRESSION)

    def invoke(self, argument, from_tty):
        run("map", target(), *[address(expression) for expression in gdb.string_to_argv(argument)])


class Check(gdb.Command):
    """mems-check - whether all holds that the heaps' structures promise. Of a process only after a detach, for it wants
    to stop its threads itself: a core by generate-core-file does as well."""

    def __init__(self):
        super().__init__("mems-check", gdb.COMMAND_STATUS)

    def invoke(self, argument, from_tty):
        run("check", target())


Whatis()
Stats()
Map()
Check()
