"""browser.py - drives a headless Chromium over a pipe: real keys and clicks, console messages, requested addresses.

Used by the tests of the pages of the command mems.
"""
import base64
import json
import os
import select
import signal
import subprocess
import time


class Browser:
    """A browser with one page. `console` has the page's messages, `requests` the addresses that it requested."""

    def __init__(self, folder, width=1400, height=900, dark=False):
        to_browser, self.to = os.pipe()
        self.back, from_browser = os.pipe()

        def pipes():
            # The browser reads from 3 and writes to 4; dup2 must not overwrite one with the other.
            reads, writes = os.dup(to_browser), os.dup(from_browser)
            reads, writes = (os.dup(fd) if fd < 5 else fd for fd in (reads, writes))
            os.dup2(reads, 3)
            os.dup2(writes, 4)

        self.process = subprocess.Popen(
            ['chromium-headless-shell', '--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage',
             '--remote-debugging-pipe', f'--user-data-dir={folder}/profile', f'--window-size={width},{height}',
             'about:blank'],
            preexec_fn=pipes, close_fds=False, start_new_session=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL)
        os.close(to_browser)
        os.close(from_browser)
        self.number, self.buffer, self.session = 0, b'', None
        self.console, self.requests = [], []
        target = self.ask('Target.createTarget', url='about:blank')['targetId']
        self.session = self.ask('Target.attachToTarget', targetId=target, flatten=True)['sessionId']
        for domain in ('Page', 'Runtime', 'Network', 'Log'):
            self.ask(f'{domain}.enable')
        self.ask('Emulation.setDeviceMetricsOverride', width=width, height=height, deviceScaleFactor=1, mobile=False)
        self.ask('Emulation.setEmulatedMedia',
                 features=[{'name': 'prefers-color-scheme', 'value': 'dark' if dark else 'light'}])

    def _read(self, timeout):
        end = time.monotonic() + timeout
        while b'\0' not in self.buffer:
            ready = select.select([self.back], [], [], max(0, end - time.monotonic()))[0]
            part = os.read(self.back, 1 << 20) if ready else b''
            if not part:
                raise TimeoutError('the browser does not answer')
            self.buffer += part
        text, self.buffer = self.buffer.split(b'\0', 1)
        message = json.loads(text)
        method, params = message.get('method'), message.get('params', {})
        if method == 'Runtime.consoleAPICalled':
            self.console.append(' '.join(str(each.get('value', each.get('description'))) for each in params['args']))
        elif method == 'Runtime.exceptionThrown':
            details = params['exceptionDetails']
            self.console.append(details.get('exception', {}).get('description', details['text']))
        elif method == 'Log.entryAdded':
            self.console.append(params['entry']['text'])
        elif method == 'Network.requestWillBeSent':
            self.requests.append(params['request']['url'])
        return message

    def ask(self, method, **params):
        self.number += 1
        message = {'id': self.number, 'method': method, 'params': params}
        if self.session:
            message['sessionId'] = self.session
        os.write(self.to, json.dumps(message).encode() + b'\0')
        while True:
            answer = self._read(60)
            if answer.get('id') == self.number:
                if 'error' in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                return answer['result']

    def open(self, address):
        self.ask('Page.navigate', url=address)
        while self._read(60).get('method') != 'Page.loadEventFired':
            pass

    def value(self, expression):
        """The value of a JavaScript expression; promises are awaited."""
        result = self.ask('Runtime.evaluate', expression=expression, returnByValue=True, awaitPromise=True)
        if 'exceptionDetails' in result:
            raise RuntimeError(f"{expression}: {result['exceptionDetails']}")
        return result['result'].get('value')

    def wait(self, expression, seconds=60):
        """Waits until it is true."""
        end = time.monotonic() + seconds
        while not self.value(expression):
            if time.monotonic() > end:
                raise TimeoutError(f"never so: {expression}: {self.value('document.body.innerText')[:2000]}")
            time.sleep(0.1)

    def key(self, name, times=1):
        codes = {'Enter': (13, '\r'), 'Escape': (27, ''), 'Tab': (9, ''), 'ArrowLeft': (37, ''), 'ArrowUp': (38, ''),
                 'ArrowRight': (39, ''), 'ArrowDown': (40, ''), 'Home': (36, ''), 'End': (35, '')}
        code, text = codes.get(name, (ord(name[0].upper()), name))
        for _ in range(times):
            self.ask('Input.dispatchKeyEvent', type='keyDown', key=name, text=text, windowsVirtualKeyCode=code)
            self.ask('Input.dispatchKeyEvent', type='keyUp', key=name, windowsVirtualKeyCode=code)

    def type(self, text):
        self.ask('Input.insertText', text=text)

    def move(self, x, y):
        self.ask('Input.dispatchMouseEvent', type='mouseMoved', x=x, y=y)

    def click(self, x, y):
        for kind in ('mousePressed', 'mouseReleased'):
            self.ask('Input.dispatchMouseEvent', type=kind, x=x, y=y, button='left', clickCount=1)

    def screenshot(self, path):
        with open(path, 'wb') as file:
            file.write(base64.b64decode(self.ask('Page.captureScreenshot', format='png')['data']))

    def close(self):
        """Ends all its processes: one that survives may still write to its folder."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        end = time.monotonic() + 60
        try:
            while time.monotonic() < end:
                os.killpg(self.process.pid, 0)
                time.sleep(0.02)
        except ProcessLookupError:
            pass
