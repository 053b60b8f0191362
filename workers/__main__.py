"""`python -m workers` is the `celery` command for this fleet.

Celery looks for the application in the working folder first. By then it is loaded from where this file is, so that what
else is called `workers` or `app` in that folder is left alone.
"""

from __future__ import annotations

from celery.__main__ import main

from workers import fleet

__all__ = ["fleet", "main"]

if __name__ == "__main__":
    main()
