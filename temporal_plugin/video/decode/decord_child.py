"""Runs decord in a process of its own: it can abort, and that must not end a training run.

Started by path, so that neither torch nor this package is imported. One request per line of
standard input, `{"path": ..., "indices": [...]}`; the answer is a line `{"seconds": [T],
"height", "width"}` followed by T pictures of height * width * 3 bytes, or `{"error": ...}`.
"""

import json
import os
import sys

BATCH = 8


def main() -> None:
    """Answer requests until standard input ends."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints must not come between the answers
    for line in sys.stdin:
        answer(json.loads(line), answers)
        answers.flush()


def answer(request: dict, answers) -> None:
    """Write the answer to one request."""
    import decord

    indices = request["indices"]
    try:
        reader = decord.VideoReader(request["path"], num_threads=1)
        seconds = reader.get_frame_timestamp(indices)[:, 0].tolist()
        height, width = reader[indices[0]].shape[:2]
    except Exception as error:  # decord has its own types beside IndexError and OSError
        answers.write(json.dumps({"error": str(error).strip().splitlines()[0]}).encode() + b"\n")
        return
    header = {"seconds": seconds, "height": height, "width": width}
    answers.write(json.dumps(header).encode() + b"\n")
    for at in range(0, len(indices), BATCH):
        answers.write(reader.get_batch(indices[at : at + BATCH]).asnumpy().tobytes())


if __name__ == "__main__":
    main()
