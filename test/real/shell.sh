#!/bin/sh
# bash and the coreutils: sorting, joining and hashing a quarter of a million lines, with threads and temporary files, in
# pipes of many processes; and a shell program with functions, arrays and subshells.
. "${0%/*}/lib.sh"
need bash awk sort

cat >"$directory/lines.bash" <<'END'
set -euo pipefail
awk 'BEGIN { x = 1; for (i = 0; i < 250000; i++) { x = x * 16807 % 2147483647; print x, i % 1000 } }' >lines
sort --parallel=1 lines | sha256sum
sort --parallel=2 --key=2n,2 --key=1,1 lines >sorted
sha256sum <sorted
head -n 200000 lines | sort --parallel=2 --buffer-size=2M | sha256sum
head -n 100000 lines | cut -d ' ' -f 2 | sort | uniq -c | sort -rn | sed -n 1,5p
head -n 50000 sorted | tac | tail -n 3
join <(head -n 20000 lines | sort) <(tail -n +10000 lines | head -n 20000 | sort) | wc -l
head -n 50000 lines | tr ' ' '\n' | od -A d -t x2 | tail -n 2
split --lines=100000 lines part.
wc -l part.* | tail -n 1
ls -l part.* | wc -l
factor 1000000007 600851475143
expr 12345678901234567890 '*' 98765432109876543210 || :
printf '%s\n' {1..2000} | xargs -n 50 echo | sha256sum
END

cat >"$directory/program.bash" <<'END'
set -euo pipefail
declare -A squares
declare -a words
for ((i = 0; i < 5000; i++)); do
    squares[$i]=$((i * i))
    words+=("word$i")
done
total=0
for key in "${!squares[@]}"; do
    total=$((total + squares[$key]))
done
echo "$total ${#words[@]} ${words[*]:100:3}"
text=${words[*]}
echo "${#text} $(echo "${text//word/W}" | cksum)"
fibonacci() {
    local n=$1
    ((n < 2)) && echo "$n" && return
    echo $(($(fibonacci $((n - 1))) + $(fibonacci $((n - 2)))))
}
fibonacci 9
for ((i = 0; i < 20; i++)); do
    (unset "words[$i]"; words+=("more"); echo "${#words[@]} $BASH_SUBSHELL") &
    wait $!
done
mapfile -t lines < <(seq 20000)
echo "${lines[19999]} ${#lines[@]}"
[[ ${lines[*]} =~ 777\ (778)\ 779 ]] && echo "${BASH_REMATCH[1]}"
trap 'echo bye' EXIT
END

compare "coreutils" 30 bash "$directory/lines.bash"
compare "bash" 5 bash "$directory/program.bash"
