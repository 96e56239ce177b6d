#!/bin/sh
# postgres: a server with a process for each of several clients; tables, indexes, sorting, functions.
. "${0%/*}/lib.sh"
PATH=$PATH:$(echo /usr/lib/postgresql/*/bin | tr ' ' ':')
need initdb pg_ctl psql setpriv
chmod 755 "$directory"

cat >"$directory/queries.sql" <<'END'
create table numbers as select i, md5(i::text) as text from generate_series(1, 20000) i;
create index on numbers(text);
analyze numbers;
select count(*), min(text), max(text) from numbers where text like 'a%';
select sum(length(text)) from (select text from numbers order by text desc limit 1000) t;
do $$ declare total bigint := 0; r record;
begin
    for r in select * from numbers loop total := total + length(r.text || r.i); end loop;
    raise info '%', total;
end $$;
select count(distinct a.text) from numbers a join numbers b on a.i = b.i * 2;
END
# The server refuses to run as root.
cat >"$directory/server.sh" <<'END'
set -eu
as=""
[ "$(id -u)" -ne 0 ] || as="setpriv --reuid=65534 --regid=65534 --clear-groups"
chmod 777 .
export HOME="$PWD" PGHOST="$PWD" PGDATABASE=postgres PGUSER=tester
$as initdb -D data -U tester --no-sync >init.log 2>&1 || { cat init.log; exit 1; }
$as pg_ctl -D data -o "-c listen_addresses= -k $PWD -c fsync=off" -l server.log -w start >start.log 2>&1 ||
    { cat start.log server.log; exit 1; }
$as psql -qAtX -f "$1"
for client in 1 2 3 4; do
    $as psql -qAtX -c "select sum(length(text) * $client) from numbers" >"$client.out" &
done
wait
cat ./*.out
$as pg_ctl -D data -m fast -w stop >stop.log
grep -E 'terminated by signal|server process .* exited' server.log || true
END
compare "postgres" 1 sh "$directory/server.sh" "$directory/queries.sql"
