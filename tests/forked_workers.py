"""Worker processes forked from one that has imported torch: real processes, without the seconds.

What a worker imports first (torch, torchvision) costs 4 s of processor time, more than most tests do
with it. Nothing of attnbench is imported before the fork. Tests of the start itself use none of this.
"""

import atexit
import contextlib
import faulthandler
import gc
import json
import os
import runpy
import select
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import traceback
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

LIMIT = 2**20
SCRIPT = str(Path(__file__).with_name("forked_script.py"))
RELEVANT = ("PYTHON", "LD_", "MALLOC", "OMP_", "MKL_")
"""Beginnings of the variables that an interpreter or a library reads as it starts."""
TAKEN_OVER = ("PYTHONPATH", "PYTHONFAULTHANDLER")
"""Those of them that a forked process heeds as well."""


class ForkServer:
    """The process that forks, started with the first worker, or forked at once."""

    def __init__(self, *, fork=False):
        self._environment = relevant(os.environ)
        self._channel = None
        self._process = None
        if fork:
            self._fork()

    def start(self, command, **options):
        """Stand in for ``subprocess.Popen``: fork where this interpreter would start as it did."""
        same = relevant(options["env"]) == self._environment and not customized(options["env"])
        if command[0] != sys.executable or not same or command[1] not in ("-m", "-P"):
            return subprocess.Popen(command, **options)
        return ForkedProcess(
            self._connected(),
            command,
            options["stderr"],
            options["env"],
            options.get("cwd") or Path.cwd(),
        )

    def attnbench(self, *words, stderr, cwd):
        """Start ``python -m attnbench`` in a session of its own; its workers are forked, too."""
        command = [sys.executable, "-P", SCRIPT, "-m", "attnbench", *map(str, words)]
        return self.start(command, stderr=stderr, env=os.environ, cwd=cwd)

    def run(self, command, environment):
        """Stand in for ``subprocess.run`` that captures texts."""
        with tempfile.TemporaryFile("w+") as errors:
            with self.start(command, stderr=errors, env=environment) as process:
                text = process.stdout.read().decode()
                code = process.wait()
            errors.seek(0)
            return subprocess.CompletedProcess(command, code, text, errors.read())

    def stand_in(self, patch):
        """Have workers started here, as long as the patch holds."""
        own = SimpleNamespace(
            Popen=self.start, PIPE=subprocess.PIPE, TimeoutExpired=subprocess.TimeoutExpired
        )
        patch.setattr("attnbench.workers.process.subprocess", own)

    def _connected(self):
        if self._channel is None:
            self._channel, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            words = [sys.executable, "-P", __file__, str(theirs.fileno())]
            self._process = subprocess.Popen(words, pass_fds=[theirs.fileno()])
            theirs.close()
        return self._channel

    def _fork(self):
        self._channel, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        pid = os.fork()
        if pid == 0:
            self._channel.close()
            serve(theirs)
            os._exit(0)
        theirs.close()
        self._process = SimpleNamespace(wait=lambda: os.waitpid(pid, 0))

    def stop(self):
        if self._channel is not None:
            self._channel.close()
            self._process.wait()


def relevant(environment):
    return {
        name: text
        for name, text in environment.items()
        if name.startswith(RELEVANT) and name not in TAKEN_OVER
    }


def look_briefly():
    """Measure the load of cores for a tenth of the time: to no test it matters which are chosen."""
    measure = psutil.cpu_percent
    psutil.cpu_percent = lambda interval=None, **words: measure(interval and interval / 10, **words)


def folders(environment):
    """Return the entries of ``PYTHONPATH``, which a forked process takes over."""
    return [entry for entry in environment.get("PYTHONPATH", "").split(os.pathsep) if entry]


def customized(environment):
    return any(Path(entry, "sitecustomize.py").exists() for entry in folders(environment))


class ForkedProcess:
    """A forked worker with the face of ``subprocess.Popen``."""

    def __init__(self, channel, command, stderr, environment, folder):
        stdin, own_stdin = os.pipe()
        own_stdout, stdout = os.pipe()
        own_status, status = os.pipe()
        request = json.dumps([command[1:], dict(environment), str(folder)]).encode()
        socket.send_fds(channel, [request], [stdin, stdout, stderr.fileno(), status])
        for end in (stdin, stdout, status):
            os.close(end)
        self.stdin = os.fdopen(own_stdin, "wb")
        self.stdout = os.fdopen(own_stdout, "rb", buffering=0)
        self._status = os.fdopen(own_status, encoding="utf-8")
        self.pid = int(self._status.readline())
        self.returncode = None
        self._turn = threading.Lock()

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.stdin.close()
        self.stdout.close()
        self.wait()

    def poll(self):
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self.returncode

    def wait(self, timeout=None):
        with self._turn:  # several threads may wait, as for a Popen
            if self.returncode is None:
                if not select.select([self._status], [], [], timeout)[0]:
                    raise subprocess.TimeoutExpired("a forked worker", timeout)
                self.returncode = os.waitstatus_to_exitcode(int(self._status.readline()))
                self._status.close()
            return self.returncode

    def kill(self):
        if self.poll() is None:
            os.kill(self.pid, signal.SIGKILL)


@pytest.fixture(scope="session")
def fork_server():
    server = ForkServer()
    yield server
    server.stop()


@pytest.fixture
def forked_workers(fork_server, monkeypatch):
    """Start the workers of this test by a fork."""
    fork_server.stand_in(monkeypatch)


def serve(channel):
    """Fork for each request until the other end is closed, and pass exit statuses on."""
    import ptflops  # noqa: F401
    import scipy.stats  # noqa: F401
    import sklearn.datasets  # noqa: F401
    import torch.export
    import torchmetrics  # noqa: F401
    import torchvision  # noqa: F401

    torch.set_num_threads(1)
    look_briefly()
    gc.freeze()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with selectors.DefaultSelector() as ready:
        ready.register(channel, selectors.EVENT_READ)
        while True:
            for key, _ in ready.select():
                if key.fileobj is channel:
                    if not fork(channel, ready):
                        return
                else:
                    ready.unregister(key.fileobj)
                    pid, status = key.data
                    os.write(status, b"%d\n" % os.waitpid(pid, 0)[1])
                    os.close(status)
                    os.close(key.fileobj)


def fork(channel, ready):
    """Answer a request; False when there will be no more."""
    request, ends, _, _ = socket.recv_fds(channel, LIMIT, 4)
    if not request:
        return False
    pid = os.fork()
    if pid == 0:
        become(ends, *json.loads(request))
    status = ends.pop()
    for end in ends:
        os.close(end)
    os.write(status, b"%d\n" % pid)
    ready.register(os.pidfd_open(pid), selectors.EVENT_READ, (pid, status))
    return True


def become(ends, arguments, environment, folder):
    """Run what the interpreter would with these arguments, and end."""
    os.setsid()
    for number, end in enumerate(ends[:3]):
        os.dup2(end, number)
    os.closerange(3, 1024)
    streams = (os.fdopen(n, mode, closefd=False) for n, mode in enumerate("rww"))
    sys.stdin, sys.stdout, sys.stderr = streams
    before = folders(os.environ)
    sys.path[:] = [*folders(environment), *(entry for entry in sys.path if entry not in before)]
    os.environ.clear()
    os.environ.update(environment)
    if environment.get("PYTHONFAULTHANDLER"):
        faulthandler.enable()
    os.chdir(folder)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    safe = arguments[:2] == ["-P", "-m"]
    flag, what, *sys.argv[1:] = arguments[safe:]
    sys.argv[0] = what
    code = 0
    try:
        if flag == "-m":
            sys.path[:0] = [] if safe else [folder]
            runpy.run_module(what, run_name="__main__", alter_sys=True)
        else:
            runpy.run_path(what, run_name="__main__")
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
        if isinstance(end.code, str):
            sys.stderr.write(f"{end.code}\n")
    except BaseException:
        traceback.print_exc()
        code = 1
    finally:
        atexit._run_exitfuncs()
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):
                stream.flush()
        os._exit(code)


if __name__ == "__main__":
    serve(socket.socket(fileno=int(sys.argv[1])))
