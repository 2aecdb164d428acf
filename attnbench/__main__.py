"""Entry point of ``attnbench`` and ``python -m attnbench``."""

from attnbench.cli.signals import handle_signals


def main() -> None:
    """Handle signals, then import the commands and run one."""
    handle_signals()
    from attnbench.cli.app import main as run

    run()


if __name__ == "__main__":
    main()
