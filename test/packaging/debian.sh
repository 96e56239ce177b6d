#!/bin/sh
# Debian's packages: lintian finds no errors; apt-get installs them in a clean system together with their dependencies;
# programs run with the libraries preloaded and linked; mems inspects one; and removing the packages leaves nothing
# behind.
. "$SOURCE_DIR/test/support/script.sh"
need dpkg-buildpackage dh lintian mmdebstrap xz
[ "$(id -u)" -eq 0 ] || {
    echo "skipped: only root may chroot"
    exit 77
}
chmod 755 "$work"

cp -R "$SOURCE_DIR/test/packaging/consumer" "$work/consumer"
"$SOURCE_DIR/tools/deb" "$work/deb" >"$work/log" 2>&1 || {
    cat "$work/log"
    exit 1
}
lintian --fail-on error --suppress-tags initial-upload-closes-no-bugs --allow-root "$work"/deb/*.changes || exit 1
mkdir "$work/packages"
for package in libmems1 libhmm1 libmems-dev mems; do
    mv "$work"/deb/"$package"_*.deb "$work/packages/"
done

# The steps in the clean system.
cat >"$work/use.sh" <<'END_OF_SCRIPT'
set -eux
export DEBIAN_FRONTEND=noninteractive
apt-get install -y --no-install-recommends /tmp/packages/*.deb gcc libc6-dev pkg-config >/dev/null
dpkg --verify libmems1 libhmm1 libmems-dev mems

for library in mems hmm; do
    LD_PRELOAD=lib$library.so.1 sh -c 'ls / >/dev/null && cat /proc/self/maps' | grep -q "lib$library.so"
    source=/tmp/consumer/hmm.c
    [ $library = hmm ] || source=/tmp/consumer/consumer.c
    cc $source -o /tmp/shared $(pkg-config --cflags --libs $library)
    cc $source -o /tmp/static -static $(pkg-config --static --cflags --libs $library)
    /tmp/shared
    /tmp/static
done
printf '#include <stdlib.h>\nint main(void) { void *p = malloc(9); free(p); free(p); return 0; }\n' >/tmp/twice.c
cc -w -fno-builtin /tmp/twice.c -o /tmp/twice
(LD_PRELOAD=libmems.so.1 /tmp/twice 2>/tmp/report) && exit 1
grep -q '^mems: free(0x[0-9a-f]*): double free: ' /tmp/report

mems run -- ls / >/dev/null
LD_PRELOAD=libmems.so.1 sleep 60 &
sleep 1
mems list | grep -q sleep
mems stats $! | grep -q 'live '
kill $!
for page in man1/mems.1 man3/mems_malloc.3 man3/mems_get.3 man3/hmm.3 man3/HmmAlloc.3 man7/libmems.7; do
    gunzip -t /usr/share/man/$page.gz
done

apt-get purge -y libmems1 libhmm1 libmems-dev mems >/dev/null
left=$(find / -xdev \( -name 'libmems*' -o -name 'libhmm*' -o -name 'mems.*' -o -name 'hmm.*' \) \
    ! -path '/tmp/*' ! -path '/proc/*')
[ -z "$left" ]
END_OF_SCRIPT

suite=$(. /etc/os-release && echo "$VERSION_CODENAME")
set -- "$suite" /dev/null
for sources in /etc/apt/sources.list /etc/apt/sources.list.d/debian.sources; do
    [ ! -s $sources ] || set -- "$@" $sources
done
mmdebstrap --quiet --variant=minbase --customize-hook="touch $work/began" \
    --customize-hook="cp -R $work/packages $work/consumer $work/use.sh \"\$1/tmp/\"" \
    --customize-hook='chroot "$1" sh /tmp/use.sh' "$@" >"$work/log" 2>&1 || {
    cat "$work/log"
    [ -e "$work/began" ] || {
        echo "skipped: no clean system can be made here"
        exit 77
    }
    exit 1
}
