"""`python -m mainstem.cli`: the command line where no script is installed, or its path is too long to be run."""

from mainstem.cli import main

main()
