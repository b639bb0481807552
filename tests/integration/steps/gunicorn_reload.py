"""gunicorn with two forked workers; a module in the environment is edited, and they are started anew."""

import serve

WEB = "import os, sys\nVALUE = {!r}\ndef app(environ, start):\n    start('200 OK', [])\n" \
      "    return [f'{{VALUE}} {{sys.prefix}} {{os.getppid() != 1}}'.encode()]\n"

serve.write_module("web", WEB.format("one"))
with serve.started("gunicorn", "web:app", "--bind", "127.0.0.1:0", "--workers", "2", "--reload",
                   "--reload-engine", "poll", "--access-logfile", "-") as said:
    url = said(r"Listening at: (http://127\.0\.0\.1:\d+)")
    print(serve.wait_for(lambda: serve.get(url), "an answer"))
    serve.write_module("web", WEB.format("two"))
    # Each worker restarts on its own: until all answers are new.
    answers = serve.wait_for(lambda: (told := {serve.get(url) for _ in range(8)})
                             and all(text.startswith("two ") for text in told) and told, "the edit")
    print(sorted(answers))
