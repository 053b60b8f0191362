"""The plain Celery chain as an application that `celery -A` can find."""

from tests.benchmarks.loads import create_chain

celery = create_chain()
