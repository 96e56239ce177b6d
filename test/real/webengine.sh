#!/bin/sh
# QtWebEngine, the engine of Chromium as a library: here malloc, free and operator new of its processes, the browser's
# and the renderer's with their many threads, are the library's. (Chromium itself brings a malloc: chromium.sh.)
#
# It loads a page of charts, draws it, asks for nothing but these files, and says nothing on the console.
. "${0%/*}/charts.sh"
python=/usr/bin/python3 # Debian's own, which has its packages
need "$python"
"$python" -c 'import PyQt5.QtWebEngineWidgets' 2>/dev/null || {
    echo "$test_name: skipped: $python has no QtWebEngine"
    exit 77
}

cat >"$directory/program.py" <<'END'
import os
import sys

from PyQt5.QtCore import QTimer, QUrl
from PyQt5.QtWebEngineCore import QWebEngineUrlRequestInterceptor
from PyQt5.QtWebEngineWidgets import QWebEnginePage, QWebEngineProfile, QWebEngineSettings, QWebEngineView
from PyQt5.QtWidgets import QApplication


class Requests(QWebEngineUrlRequestInterceptor):
    def interceptRequest(self, request):
        urls.add(request.requestUrl().toString())


class Page(QWebEnginePage):
    def javaScriptConsoleMessage(self, level, message, line, source):
        print(f"console, line {line}: {message}")


def processes_with(library):
    """How many of this program's processes have the library."""
    count = 0
    for process in filter(str.isdigit, os.listdir("/proc")):
        try:
            if os.getpgid(int(process)) == os.getpgrp():
                with open(f"/proc/{process}/maps") as maps:
                    count += f"{library}\n" in maps.read()
        except OSError:
            pass
    return count


def colours():
    image = view.grab().toImage()
    return len({image.pixel(x, y) for x in range(0, image.width(), 3) for y in range(0, image.height(), 3)})


# The page is drawn some time after its script has come to the end: 15 s and more are for a busy machine.
def look(found, tries=75):
    if tries > 0 and (not found.endswith("end\n") or colours() < 1000):
        tries -= found.endswith("end\n")
        QTimer.singleShot(200, lambda: page.toPlainText(lambda text: look(text[: text.find("end\n") + 4], tries)))
        return
    print(found)
    print("drawn" if tries > 0 else "empty")
    print("\n".join(sorted(urls)))
    with open("processes", "w") as file:
        file.write(f"{processes_with(os.path.realpath(os.environ.get('WITNESS_LIBRARY', 'none')))}\n")
    app.quit()


urls = set()
app = QApplication(sys.argv)
profile = QWebEngineProfile()
requests = Requests()
profile.setUrlRequestInterceptor(requests)
view = QWebEngineView()
page = Page(profile, view)
page.settings().setAttribute(QWebEngineSettings.LocalContentCanAccessRemoteUrls, True)  # so that attempts are seen
view.setPage(page)
view.resize(1000, 3000)
page.loadFinished.connect(lambda loaded: look("") if loaded else app.exit(1))
view.show()
page.load(QUrl.fromLocalFile(sys.argv[1]))
status = app.exec()
del page, view, profile
sys.exit(status)
END

charts_page
QT_QPA_PLATFORM=offscreen QT_QUICK_BACKEND=software XDG_RUNTIME_DIR=$directory
QTWEBENGINE_DISABLE_SANDBOX=1 QTWEBENGINE_CHROMIUM_FLAGS='--disable-gpu --disable-dev-shm-usage'
export QT_QPA_PLATFORM QT_QUICK_BACKEND XDG_RUNTIME_DIR QTWEBENGINE_DISABLE_SANDBOX QTWEBENGINE_CHROMIUM_FLAGS
# The browser and its renderer, and the zygote that the renderer is a copy of.
also() {
    [ "$(cat "$directory/work/processes")" -ge 3 ] || fail "only $(cat "$directory/work/processes") processes had the library"
}
compare "QtWebEngine" 1 env HOME="$directory" "$python" "$directory/program.py" "$directory/charts.html"
check_found "$directory/libc.output"

! grep '^console' "$directory/libc.output" || fail "the page said something on the console"
grep -q '^drawn$' "$directory/libc.output" || fail "what it drew is empty"
grep -q "^file://$directory/charts.html" "$directory/libc.output" || fail "it did not say what it asked for"
! sed -n '/^drawn$/,$p' "$directory/libc.output" | grep -v '^drawn$\|^file://' || fail "it asked for more than the files"
