"""16 samples of each prompt: the prompt is computed once, counted; and a sample is the same alone as among the others.

    python benchmarks/engine/samples.py [--quick]

IFEval prompts through SmolLM2's chat template, temperature 1, 16 draws each. Printed and written to
benchmarks/results/engine_samples.json: tokens of prompts that went through the network, over the tokens of the
distinct prompts (at most 1; less where prompts begin alike), and the share of draws that say the same words when their
prompt is asked alone. Exit status 1 where a goal is missed.
"""

import sys
from argparse import Namespace

import common
from common import Row, goal, side, spaced

PROMPTS, DRAWS, TOKENS = 20, 16, 64
ONCE, SAME = 1.0, 0.99


def measure(args: Namespace) -> Row:
    from evalsuite.data import read_rows

    count, tokens = (3, 8) if args.quick else (PROMPTS, TOKENS)
    rows = read_rows(args.data / "ifeval" / "input_data.jsonl")
    prompts = [row["prompt"] for row in spaced(rows, count)]
    how = {"verb": "generate", "model": "smollm2", "max_tokens": tokens, "temperature": 1.0, "repeats": DRAWS}
    many = side(common.OURS, {**how, "prompts": prompts}, args)
    # Groups of one prompt's draws never share a batch with another prompt's.
    alone = side(common.OURS, {**how, "prompts": prompts, "args": {"group": str(DRAWS)}}, args)
    both = list(zip(alone["answers"], many["answers"], strict=True))
    same = sum(one[0].get("text") == other[0].get("text") for one, other in both) / len(both)
    texts = [answer.get("text") for (answer,) in many["answers"]]
    prefilled = many["counts"].get("prefill_tokens")
    said = sum(answer["tokens"] for (answer,) in many["answers"])
    print(f"{count} prompts of {many['prompt_tokens']} tokens in all, {DRAWS} draws each, {said} tokens said")
    print(f"  {many['calls_s']:.1f} s, {said / many['calls_s']:.0f} tokens/s; prefilled {prefilled}")
    return {
        "model": "smollm2",
        "prompts": count,
        "draws": DRAWS,
        "max_tokens": tokens,
        "seconds": many["calls_s"],
        "tokens_said": said,
        "distinct_prompt_tokens": many["prompt_tokens"],
        "trie_tokens": many["distinct_tokens"],
        "prefill_tokens": prefilled,
        "prefill_tokens_without_sharing": DRAWS * many["prompt_tokens"],
        "distinct_texts": len(set(texts)),
        "compared_alone": len(both),
        "goals": [
            goal("prefilled / tokens of distinct prompts", prefilled and prefilled / many["prompt_tokens"], most=ONCE),
            goal("draws equal when asked alone", same, least=SAME),
            goal("draws that differ, of a prompt", len(set(texts)) / count, least=2),
        ],
    }


def main() -> int:
    args = common.parser(__doc__).parse_args()
    result = measure(args)
    common.record("samples", result, args)
    return common.status(result["goals"])


if __name__ == "__main__":
    sys.exit(main())
