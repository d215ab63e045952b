"""Memory per GPU and hours of a recipe, worked out from its settings; nothing is run.

    python benchmarks/recipe_cost.py timezero_charades machine=two_nodes

Memory (GiB): sharded training state (float32 weights, gradients and AdamW's two moments: 16 bytes
a trained weight; frozen ones 2), saved activations of the longest micro-batch under gradient
checkpointing (2 bytes x hidden size x layers), its logits (bf16, and float32 twice), and vLLM's
share, which sleeps while the trainer works. Hours: 2 FLOPs a weight and token forward, 6 forward
and backward, at 35% of the GPU's bf16 peak, and decoding at the speed of reading the weights
once a step of the batch. Real runs differ; videos are taken from the frame store.
`--asked` adds the hours of asking so many questions `--answers` times before training (curation).
"""

import argparse
import math

from rich.console import Console
from rich.table import Table

from temporal_plugin.integrations.verl_config import compose

GIB = 1 << 30
#: model -> weights in billions, of them the vision tower's, hidden size, layers, vocabulary
MODELS = {
    "Qwen2.5-VL-3B": (3.75, 0.67, 2048, 36, 151_936),
    "Qwen2.5-VL-7B": (8.29, 0.68, 3584, 28, 152_064),
    "Qwen3-VL-4B": (4.44, 0.41, 2560, 36, 151_936),
    "Qwen3-VL-8B": (8.77, 0.58, 4096, 36, 151_936),
}
#: GPU -> bf16 TFLOPs, memory bandwidth in TB/s
GPUS = {"A100": (312, 2.0), "H100": (989, 3.35)}
UTILISATION = 0.35
ASKED_AT_ONCE = 64


def memory(config, model: str, gpus: int) -> dict[str, float]:
    """GiB per GPU by cause."""
    billions, _, hidden, layers, vocabulary = MODELS[model]
    weights, actor = billions * 1e9, config.actor_rollout_ref.actor
    tokens = actor.ppo_max_token_len_per_gpu
    lora = config.actor_rollout_ref.model.lora_rank > 0
    state = weights * 2 if lora else weights * 16 / gpus
    return {
        "training state": state / GIB,
        "activations": 2 * tokens * hidden * layers / GIB,
        "logits": tokens * vocabulary * (2 + 4 + 4) / GIB,
        "vLLM (sleeps in training)": config.actor_rollout_ref.rollout.gpu_memory_utilization * 80,
    }


def hours(config, model: str, gpus: int, samples: int, answer_tokens: int, gpu: str) -> float:
    """Of the whole run."""
    weights = MODELS[model][0] * 1e9
    flops, bandwidth = (value * 1e12 for value in GPUS[gpu])
    rollouts = config.data.train_batch_size * config.actor_rollout_ref.rollout.n
    prompt = config.data.temporal.sampling.total_tokens + 150
    passes = 6 + 2 + (2 if config.actor_rollout_ref.actor.use_kl_loss else 0)
    compute = passes * weights * rollouts * (prompt + answer_tokens) / (flops * gpus * UTILISATION)
    decode = answer_tokens * 2 * weights / bandwidth
    steps = math.ceil(samples / config.data.train_batch_size) * config.trainer.total_epochs
    return steps * (compute + decode) / 3600


def asking_hours(
    config, model: str, gpus: int, questions: int, answers: int, answer_tokens: int, gpu: str
) -> float:
    """Of answering each question so many times, ASKED_AT_ONCE of them on each GPU."""
    weights = MODELS[model][0] * 1e9
    flops, bandwidth = (value * 1e12 for value in GPUS[gpu])
    prompt = config.data.temporal.sampling.total_tokens + 150
    asked = questions * answers / gpus  # on one GPU
    compute = 2 * weights * asked * (prompt + answer_tokens) / (flops * UTILISATION)
    decode = asked / ASKED_AT_ONCE * answer_tokens * 2 * weights / bandwidth
    return (compute + decode) / 3600


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("recipe")
    parser.add_argument("overrides", nargs="*")
    parser.add_argument("--samples", type=int, default=12_404, help="questions in training")
    parser.add_argument("--answer-tokens", type=int, default=200, help="mean length of an answer")
    parser.add_argument("--asked", type=int, default=0, help="questions asked before training")
    parser.add_argument("--answers", type=int, default=4, help="answers to each of them")
    arguments = parser.parse_args()
    config = compose(arguments.recipe, arguments.overrides)
    gpus = config.trainer.nnodes * config.trainer.n_gpus_per_node
    table = Table(title=f"{arguments.recipe}, {gpus} GPUs")
    asking = [f"asking, {gpu}" for gpu in GPUS] if arguments.asked else []
    for heading in ("model", "training, GiB per GPU", "of it state, logits", *GPUS, *asking):
        table.add_column(heading, justify="left" if heading == "model" else "right")
    for model in MODELS:
        parts = memory(config, model, gpus)
        trained = sum(value for name, value in parts.items() if not name.startswith("vLLM"))
        tokens = arguments.answer_tokens
        run = [hours(config, model, gpus, arguments.samples, tokens, gpu) for gpu in GPUS]
        if arguments.asked:
            asked = arguments.asked, arguments.answers, tokens
            run += [asking_hours(config, model, gpus, *asked, gpu) for gpu in GPUS]
        table.add_row(
            model, f"{trained:.0f}", f"{parts['training state']:.0f}, {parts['logits']:.0f}",
            *(f"{value:.0f} h" for value in run),
        )  # fmt: skip
    Console().print(table)


if __name__ == "__main__":
    main()
