"""What holds for all tests."""

import signal

# A shell starts what runs in its background with Ctrl-C ignored, and every process below inherits
# that: tests of interruptions would wait for what never comes.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
