"""An interactive bash in a pseudo-terminal, without bracketed paste, into which the commands of the guide are pasted."""

import fcntl
import os
import pty
import subprocess
import termios
import threading

from parts.wait import until


PROMPT = b"reader$ "


class Terminal:
    def __init__(self, folder, environment):
        self.history = folder / "history"
        inputrc = folder / "inputrc"
        inputrc.write_text("set enable-bracketed-paste off\n")
        settings = {"TERM": "dumb", "PS1": PROMPT.decode(), "HISTFILE": str(self.history), "INPUTRC": str(inputrc)}
        self._master, terminal = pty.openpty()
        self._shell = subprocess.Popen(
            ["bash", "--noprofile", "--norc", "-i"], cwd=folder, env=environment | settings, stdin=terminal,
            stdout=terminal, stderr=terminal, start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )
        os.close(terminal)
        self._output, self._pasted = b"", 0
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    def paste(self, block):
        """Pastes a block and waits until the shell has run all of it; returns what the terminal showed."""
        self._pasted += 1
        shown = len(self._output)
        # The shell echoes the text with the sum, and prints the result. A command that reads the terminal would take
        # this line.
        self._write(f"{block.rstrip()}\nprintf 'done-%d.\\n' $(({self._pasted} + 1000))\n")
        done = f"done-{self._pasted + 1000}.".encode()
        until("the block has run", lambda: done in self._output and self._output.endswith(PROMPT), within=120)
        return self._output[shown:].decode()

    def answer(self, block, secret):
        """Pastes a block that reads a line without echo, and types that line."""
        self._write(block)
        until("the shell reads without echo", self._reads_without_echo)
        self._write(f"{secret}\n")
        self.paste("")

    def paste_ahead(self, block):
        """Pastes a block of which a command takes the rest, and waits for the next prompt."""
        prompts = self._output.count(PROMPT)
        self._write(block)
        until("the next prompt", lambda: self._output.count(PROMPT) > prompts)

    def close(self):
        """Ends the shell, which writes its history; returns all that the terminal showed."""
        self._write("exit\n")
        self._shell.wait(30)
        self._listener.join(30)
        os.close(self._master)
        return self._output.decode()

    def kill(self):
        if self._shell.poll() is None:
            self._shell.kill()
            self._shell.wait()

    def _reads_without_echo(self):
        # At a prompt, readline reads single characters, without ICANON.
        flags = termios.tcgetattr(self._master)[3]
        return flags & termios.ICANON and not flags & termios.ECHO

    def _write(self, text):
        data = text.encode()
        while data:
            data = data[os.write(self._master, data):]

    def _listen(self):
        try:
            while data := os.read(self._master, 65536):
                self._output += data
        except OSError:  # EIO: the shell has ended
            pass
