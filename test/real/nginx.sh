#!/bin/sh
# nginx: a master and workers, files compressed on the way, and a configuration that is reread while clients ask.
. "${0%/*}/lib.sh"
PATH=$PATH:/usr/sbin
need nginx python3

cat >"$directory/ask.py" <<'END'
import hashlib, os, signal, socket, sys, threading, time, urllib.request

def ask(path):
    request = urllib.request.Request(f"http://127.0.0.1:{port}/{path}", headers={"Accept-Encoding": "gzip"})
    for attempt in range(50):
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                return hashlib.md5(answer.read()).hexdigest(), answer.headers.get("Content-Encoding")
        except OSError:
            time.sleep(0.1)
    sys.exit("no answer")

def client(results, number):
    results[number] = [ask(f"{i % 3}.html") for i in range(60)]

with socket.socket() as probe:
    probe.bind(("127.0.0.1", 0))
    port = probe.getsockname()[1]
os.mkdir("html")
for i in range(3):
    with open(f"html/{i}.html", "w") as page:
        page.write(f"<p>line {i}</p>\n" * (10 ** (i + 2)))
with open("nginx.conf", "w") as configuration:
    configuration.write(f"""daemon off; worker_processes 3; pid nginx.pid; error_log error.log;
        {"user root;" if os.geteuid() == 0 else ""}
        events {{ worker_connections 64; }}
        http {{ access_log off; gzip on; gzip_min_length 100; types {{ text/html html; }}
            client_body_temp_path t1; proxy_temp_path t2; fastcgi_temp_path t3; uwsgi_temp_path t4; scgi_temp_path t5;
            server {{ listen 127.0.0.1:{port}; root html; }} }}""")
server = os.spawnlp(os.P_NOWAIT, "nginx", "nginx", "-p", os.getcwd(), "-c", "nginx.conf")
results = [None] * 6
while not os.path.exists("nginx.pid"):  # until then a SIGHUP would end it
    time.sleep(0.05)
threads = [threading.Thread(target=client, args=(results, i)) for i in range(6)]
for thread in threads:
    thread.start()
for i in range(5):
    time.sleep(0.2)
    os.kill(server, signal.SIGHUP)
for thread in threads:
    thread.join()
os.kill(server, signal.SIGQUIT)
print(os.waitstatus_to_exitcode(os.waitpid(server, 0)[1]), sorted({str(result) for result in results}))
with open("error.log") as log:
    print("".join(line for line in log if "exited on signal" in line))
END
compare "nginx" 2 python3 "$directory/ask.py"
