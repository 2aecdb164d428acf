"""What exporters print, log and warn stays away from the streams."""

import logging
import os
import sys
import warnings

from attnbench.runtimes.torch_export import capture_output


def test_nothing_gets_through_and_it_can_be_read(capfd):
    with capture_output() as said:
        sys.stdout.write("from Python\n")
        os.write(1, b"from C\n")
        os.write(2, b"reason\n")
        warnings.warn("a warning", stacklevel=1)
        logging.getLogger("some.exporter").error("logged")
        text = said()
    assert capfd.readouterr() == ("", "")
    assert all(part in text for part in ("from Python", "from C", "reason"))
    assert "logged" not in text


def test_everything_is_back_afterwards(capfd):
    sys.stdout.write("before ")
    with capture_output(), capture_output():
        pass
    os.write(1, b"after")
    logging.getLogger("some.exporter").critical("logged")
    assert capfd.readouterr().out == "before after"
    assert logging.root.manager.disable == logging.NOTSET
