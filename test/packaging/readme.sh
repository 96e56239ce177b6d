#!/bin/sh
# README.md is right: its commands run as they are, on its programs; reports and statistics that it shows are printed,
# apart from the numbers; and what it links to exists (bench.tables checks its figures). The tree has been
# built, so `make` builds nothing here and installs from there (packaging.package does both); goals that take long need
# only exist.
. "$SOURCE_DIR/test/support/script.sh"
need python3 pkg-config
[ -n "$INSIGHT" ] || {
    echo "skipped: the command mems is not built here"
    exit 77
}
mkdir "$work/tools" "$work/tree" "$work/home"
ln -s "$BUILD_DIR" "$work/tree/build"
make=$(command -v make)
cat >"$work/tools/make" <<END_OF_SCRIPT
#!/bin/sh
case \${1:-} in
'') exit 0 ;;
install) exec cmake --install "$BUILD_DIR" --prefix "\${2#PREFIX=}" >/dev/null ;;
esac
exec "$make" -C "$SOURCE_DIR" --dry-run "\$@" >/dev/null
END_OF_SCRIPT
chmod +x "$work/tools/make"

python3 - "$SOURCE_DIR" "$work" <<'END_OF_PROGRAM'
import os
import pathlib
import re
import subprocess
import sys

source, work = map(pathlib.Path, sys.argv[1:])
tree = work / "tree"
text = (source / "README.md").read_text()
environment = {**os.environ, "HOME": str(work / "home"), "PATH": f"{work}/tools:{os.environ['PATH']}"}
for name in ("MEMS_OPTIONS", "HMM_OPTIONS", "LD_PRELOAD", "PKG_CONFIG_PATH"):
    environment.pop(name, None)


# A busy machine may take long to start what a command runs in the background: it has allocated when it sleeps.
STARTED = (" for _ in {1..3000}; do ! grep -qs /libmems.so /proc/$!/maps || ! grep -qs '^State:.S' /proc/$!/status ||"
           " break; sleep 0.1; done; sleep 1")


def shape(line):
    """A line without what differs from run to run."""
    return re.sub(r"\b[KMG]iB\b", "B", re.sub(r"[\d.]+", "0", re.sub(r"0x[0-9a-f]+", "0", line))).split()


def run(commands):
    """Runs commands as one shell would; returns what they print. Only the one that is said to abort may fail."""
    script = "\n".join(f"{line} || true" if line.rstrip().endswith("# aborts") else line for line in commands.splitlines())
    script = re.sub(r"&$", f"&{STARTED}", script, flags=re.MULTILINE) + "\nkill $(jobs -p) 2>/dev/null || true\n"
    script = re.sub(r"^(.*?)\s+# aborts(.*)$", r"\1\2", script, flags=re.MULTILINE)
    done = subprocess.run(["bash", "-euc", exports + script], cwd=tree, env=environment, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=900)
    if done.returncode != 0:
        sys.exit(f"README.md: this failed:\n{commands}\n{done.stdout}")
    return done.stdout


exports, printed, ran = "", "", 0
for kind, block in re.findall(r"^```(\w+)\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
    if kind == "c":
        (tree / re.match(r"/\* (\w+\.c) \*/", block)[1]).write_text(block)
    elif kind == "sh":
        printed = run(block)
        exports += "".join(line + "\n" for line in block.splitlines() if line.startswith("export "))
        ran += 1
    else:
        shapes = [shape(line) for line in printed.splitlines()]
        for line in block.splitlines():
            if shape(line) not in shapes:
                sys.exit(f"README.md: nothing like this was printed: {line}\nbut:\n{printed}")
if ran < 5:
    sys.exit(f"README.md: only {ran} blocks of commands were found")

for command in re.findall(r"`(make[^`]*)`", " ".join(text.split())):
    goals = command.removesuffix(" && sudo ldconfig").split()
    subprocess.run([*goals[:2]], check=True, env=environment, cwd=tree)

for target in re.findall(r"\]\(([^)#]+)", text):
    if not (source / target).exists():
        sys.exit(f"README.md: there is no {target}")
END_OF_PROGRAM
