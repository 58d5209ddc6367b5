"""`python -m exercises.summary FOLDER --csv answers.csv`: what a class has solved, from its saved notebooks."""

import argparse
import sys

from exercises.summary import CELL_LIMIT, summary


def main():
    """Print the table, and save it where asked. Ends with 1 if a file could not be read, 2 if nothing could be done."""
    parser = argparse.ArgumentParser(prog="python -m exercises.summary", description=__doc__)
    parser.add_argument("where", nargs="+", help="folders of notebooks, or notebooks")
    parser.add_argument("--csv", metavar="FILE", help="save the results as a table")
    parser.add_argument("--json", metavar="FILE", help="save the results as a list of objects")
    parser.add_argument(
        "--run",
        action="store_true",
        help="also execute each notebook anew: this runs what learners have written, with your rights",
    )
    parser.add_argument(
        "--limit", type=int, metavar="SECONDS", help=f"with --run: for a cell ({CELL_LIMIT})"
    )
    parser.add_argument("--full", action="store_true", help="with --run: train to the end")
    given = parser.parse_args()
    if (given.full or given.limit is not None) and not given.run:
        parser.error("--limit and --full need --run")
    limit = CELL_LIMIT if given.limit is None else given.limit
    if limit < 1:
        parser.error("--limit is a number of seconds, 1 or more")
    where = given.where[0] if len(given.where) == 1 else given.where
    try:
        found = summary(where, given.run, limit, given.full)
    except (FileNotFoundError, ValueError) as error:
        parser.error(str(error))
    print(found)
    if given.csv:
        found.write_csv(given.csv)
    if given.json:
        found.write_json(given.json)
    sys.exit(1 if found.unreadable else 0)


main()
