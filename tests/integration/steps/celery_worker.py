"""A task sent through a broker in memory to a worker in this process; and the worker's own program."""

import subprocess
import sys

from celery import Celery
from celery.contrib.testing.worker import start_worker

app = Celery("tasks", broker="memory://", backend="cache+memory://")


@app.task
def double(n):
    return n * 2, sys.prefix


app.loader.import_task_module("celery.contrib.testing.tasks")
with start_worker(app, perform_ping_check=False, pool="solo"):
    print(double.delay(21).get(timeout=60))
print(subprocess.run([sys.prefix + "/bin/celery", "--version"], capture_output=True, text=True, check=True).stdout)
