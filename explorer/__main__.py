"""`python -m explorer`: the command, where its script is not on the path."""

from explorer.cli import main

if __name__ == "__main__":
    main()
