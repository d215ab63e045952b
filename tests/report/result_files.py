"""Writes result folders in the layout of lmms-eval 0.7.3, as real runs left them."""

import json
import random
from pathlib import Path

GROUNDING = ("miou", "r1@0.3", "r1@0.5", "r1@0.7", "parse_failure", "refusal", "request_failure")


def grounding_scores(overlap, parsed=True):
    return {
        "miou": overlap,
        **{f"r1@{level}": float(overlap >= level) for level in (0.3, 0.5, 0.7)},
        "parse_failure": float(not parsed),
        "refusal": 0.0,
        "request_failure": 0.0,
    }


def random_scores(count, seed=0, low=0.0):
    generator = random.Random(seed)
    return [grounding_scores(low + (1 - low) * generator.random()) for _ in range(count)]


def our_line(number, scores, *, details="miou", prefix="q", **more):
    """A line of a sample log of our tasks: two questions a video, categories in turn."""
    video = f"v{number // 2}.mp4"
    items = {name: {"score": score, "video": video} for name, score in scores.items()}
    items[details] |= {
        "id": f"{prefix}{number}",
        "query": "a \u2028 b",
        "prediction": [[1.0, 2.0]],
        "truth": [[1.0, 2.0]],
        "prompt": more.pop("prompt", "answer"),
        "prompt_fingerprint": "0123",
        "category": more.pop("category", {"type": ("pose", "action", "state")[number % 3]}),
    }
    return {"doc_id": number, "doc_hash": "same", "target": "1 to 2", **items, **more}


def write_run(
    folder,
    *,
    task="temporal_grounding_charades",
    scores=None,
    lines=None,
    date="20260101_000000",
    model="models/tiny",
    model_args="",
    prompt="answer",
    limit=None,
    samples=True,
    questions=None,
    task_config=None,
    **content,
):
    """One task of one run; returns the results file. `scores`: one mapping per question."""
    folder = Path(folder) / model.replace("/", "__")
    folder.mkdir(parents=True, exist_ok=True)
    scores = random_scores(12) if scores is None else scores
    table = {"alias": task}
    for name in scores[0]:
        values = [item[name] for item in scores]
        table |= {
            f"{name},none": sum(values) / len(values),
            f"{name}_stderr,none": "N/A",
            f"{name}_stderr_clt,none": 0.5,
            f"{name}_stderr_clustered,none": 0.01,
        }
    config = {
        "task": task,
        "dataset_kwargs": {"format": "charades_sta", "annotations": "a.json", "prompt": prompt},
        "generation_kwargs": {"max_new_tokens": 64, "until": []},
        "metadata": {"version": 1.0},
    }
    count = len(scores) if questions is None else questions
    run = {
        "results": {task: table},
        "configs": {task: config if task_config is None else task_config},
        "versions": {task: 1.0},
        "n-samples": {task: {"original": 12, "effective": count}},
        "config": {
            "model": "temporal_qwen_vl",
            "model_args": model_args or f"pretrained={model},fps=2.0,max_frames=64",
            "limit": limit,
            "offset": 0,
        },
        "model_name": model,
        **content,
    }
    results = folder / f"{date}_results.json"
    results.write_text(json.dumps(run))
    if samples:
        if lines is None:
            lines = [our_line(k, item, prompt=prompt) for k, item in enumerate(scores)]
        text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in reversed(lines))
        (folder / f"{date}_samples_{task}.jsonl").write_text(text, encoding="utf-8")
    return results


def write_upstream_run(folder, **settings):
    """A run of a task that is not ours: numbers of any scale, no ids, no videos."""
    lines = [
        {
            "doc_id": k,
            "doc_hash": f"hash{k}",
            "target": "A",
            "mme_score": float(k % 2),
            "tags": ["x"],
        }
        for k in range(6)
    ]
    given = {"lines": lines, "task": "mvbench_action", "model": "Qwen/Qwen2.5-VL-3B"} | settings
    return write_run(
        folder,
        scores=[{"mme_score": line["mme_score"]} for line in lines],
        task_config={"task": "mvbench_action", "dataset_path": "OpenGVLab/MVBench"},
        **given,
    )
