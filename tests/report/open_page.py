"""Open a report.html in Qt's Chromium, press keys and click as a person does, and print what is seen as JSON.

python open_page.py <report.html> <folder for downloads>. Where there is no browser it ends with status 77.
"""

from __future__ import annotations

import json
import os
import sys

os.environ["QT_QPA_PLATFORM"] = "offscreen"
os.environ["QTWEBENGINE_DISABLE_SANDBOX"] = "1"  # which root cannot have
os.environ["QTWEBENGINE_CHROMIUM_FLAGS"] = "--disable-gpu"

try:
    from PySide6.QtCore import QEventLoop, QPoint, Qt, QTimer, QUrl
    from PySide6.QtTest import QTest
    from PySide6.QtWebEngineCore import QWebEnginePage, QWebEngineSettings
    from PySide6.QtWebEngineWidgets import QWebEngineView
    from PySide6.QtWidgets import QApplication
except ImportError as error:
    print(error)
    sys.exit(77)

LEVELS = """[...document.querySelectorAll("figure.level")].filter(one => one.getClientRects().length)
    .map(one => one.id.replace("level-", ""))"""
MESSAGES: list[str] = []


class Page(QWebEnginePage):
    def javaScriptConsoleMessage(self, level, message, line, source):  # noqa: N802  (its name in Qt)
        MESSAGES.append(message)


def wait(begin, seconds=20.0):
    """What `begin` calls back with."""
    loop, found = QEventLoop(), []

    def done(value=None):
        found.append(value)
        loop.quit()

    QTimer.singleShot(int(1000 * seconds), loop.quit)
    begin(done)
    if not found:
        loop.exec()
    if not found:
        raise TimeoutError("the browser did not answer")
    return found[0]


def pause(seconds=0.2):
    QTest.qWait(int(1000 * seconds))


def main(path: str, folder: str) -> None:
    application = QApplication(sys.argv[:1])
    view = QWebEngineView()
    page = Page(view)
    view.setPage(page)
    view.resize(1000, 900)
    view.show()

    def opened(javascript: bool) -> None:
        page.settings().setAttribute(QWebEngineSettings.WebAttribute.JavascriptEnabled, javascript)

        def begin(done):
            page.loadFinished.connect(done, Qt.ConnectionType.SingleShotConnection)
            view.load(QUrl.fromLocalFile(path))

        wait(begin)
        pause()

    def ask(script: str):
        return json.loads(wait(lambda done: page.runJavaScript(f"JSON.stringify({script})", done)))

    def click(selector: str) -> None:
        element = f"document.querySelector({json.dumps(selector)})"
        ask(f"{element}.scrollIntoView({{block: 'center'}}) || 0")
        pause()
        script = f"(r => [r.x + r.width / 2, r.y + r.height / 2])({element}.getBoundingClientRect())"
        at = QPoint(*(int(number) for number in ask(script)))
        QTest.mouseClick(view.focusProxy(), Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, at)
        pause()

    seen = {}
    opened(True)
    seen["begin"] = ask(LEVELS)
    ask("document.getElementById('level').focus() || 0")

    def after(act):
        """The levels that are seen once something has been done, and they are others."""
        before = ask(LEVELS)
        act()
        for _ in range(50):
            pause()
            if ask(LEVELS) != before:
                break
        return ask(LEVELS)

    seen["right"] = after(lambda: QTest.keyClick(view.focusProxy(), Qt.Key.Key_Right))
    seen["end"] = after(lambda: QTest.keyClick(view.focusProxy(), Qt.Key.Key_End))
    seen["link"] = after(lambda: click("#row-1 a"))

    def saved(done):
        def begin(request):
            request.setDownloadDirectory(folder)
            request.isFinishedChanged.connect(done)
            request.accept()

        page.profile().downloadRequested.connect(begin)
        click("a[download]")

    wait(saved)
    # a script of the application runs in a world of its own, where the page's scripts are switched off too
    opened(False)
    text = wait(page.toPlainText)
    seen["plain"] = [str(k) for k in range(3) if f"level {k}: E = " in text]
    seen["messages"] = MESSAGES
    print(json.dumps(seen))
    view.close()
    page.deleteLater()
    application.processEvents()


if __name__ == "__main__":
    main(*sys.argv[1:])
