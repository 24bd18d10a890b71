"""Published and recorded figures of LLMBar and JudgeBench, which two files of tests reach by different ways: through
the importers and the audit, and through the tasks. Subsets have the names of our tasks.
"""

# --- LLMBar: https://github.com/princeton-nlp/LLMBar -----------------------------------------------------------------

CATEGORIES = {  # the names in its files
    "Natural": "natural",
    "Adv_Neighbor": "neighbor",
    "Adv_GPTInst": "gptinst",
    "Adv_GPTOut": "gptout",
    "Adv_Manual": "manual",
    "MT-Bench": "mt_bench",
    "FairEval": "faireval",
    "LLMEval2": "llmeval2",
}
SUBSETS = {"natural": 100, "neighbor": 134, "gptinst": 92, "gptout": 47, "manual": 46}
CORRECT = {  # right in the first and the second order of each subset, pooled per cent
    "GPT-4/Vanilla": ((95, 96), (104, 107), (78, 81), (35, 38), (35, 39), 84.4869),
    "GPT-4/Vanilla_NoRules": ((92, 95), (87, 85), (71, 70), (35, 37), (34, 35), 76.4916),
    "GPT-4/CoT": ((94, 95), (101, 100), (75, 78), (37, 33), (33, 35), 81.2649),
    "GPT-4/Metrics_Reference": ((95, 97), (115, 114), (80, 85), (34, 34), (37, 40), 87.2315),
    "GPT-4/Swap": ((94, 95), (104, 104), (80, 82), (34, 35), (36, 39), 83.8902),
    "GPT-4/Rating": ((92, 92), (104, 105), (84, 82), (32, 34), (40, 38), 83.8902),
    "ChatGPT/Vanilla": ((80, 83), (30, 22), (25, 24), (17, 22), (18, 14), 39.9761),
    "LLaMA2/Vanilla": ((79, 82), (34, 32), (28, 28), (27, 26), (17, 17), 44.1527),
}
POOLED = {
    "GPT-4/Swap_CoT": 83.7709,
    "ChatGPT/Metrics_Reference": 48.8067,
    "ChatGPT/Rating": 48.8067,
    "LLaMA2/CoT": 47.0167,
    "Falcon/Vanilla": 56.4439,
}
ADVERSARIAL = {"GPT-4/Vanilla": 80.8097, "ChatGPT/Vanilla": 30.5763}  # per cent, mean over all but "natural"
BOTH_ORDERS = [93, 101, 77, 35, 33]  # pairs that GPT-4/Vanilla gets right in either order
KAPPAS = {"natural": 0.836868, "neighbor": 0.294737}  # GPT-4/Vanilla_NoRules, first order
PEOPLE = {  # accuracy, flips (of pairs with both verdicts), first named (of calls), right where sure, kappa
    ("mt_bench", "GPT-4/Vanilla_NoRules"): (0.8100, (26, 200), (204, 400), 0.856322, 0.589918),
    ("mt_bench", "ChatGPT/Vanilla_NoRules"): (0.7125, (85, 200), (281, 400), 0.869565, 0.397409),
    ("mt_bench", "ChatGPT/Metrics_Reference"): (0.7075, (75, 200), (273, 400), 0.832, 0.367597),
    ("mt_bench", "LLaMA2/Vanilla_NoRules"): (0.7200, (66, 200), (246, 400), 0.828358, 0.458864),
    ("faireval", "GPT-4/Vanilla_NoRules"): (0.7273, (20, 66), (82, 132), 0.826087, 0.513274),
    ("faireval", "ChatGPT/Vanilla_NoRules"): (0.5758, (54, 66), (120, 132), 0.916667, 0.160694),
    ("faireval", "LLaMA2/Vanilla_NoRules"): (0.5606, (44, 66), (110, 132), 0.681818, 0.026107),
    ("llmeval2", "GPT-4/Vanilla_NoRules"): (0.7550, (24, 194), (184, 389), 0.817647, 0.563297),
    ("llmeval2", "ChatGPT/Vanilla_NoRules"): (0.7025, (55, 194), (243, 389), 0.812950, 0.451691),
    ("llmeval2", "LLaMA2/Metrics_Reference"): (0.5975, (118, 198), (88, 397), 0.75, 0.148179),
}
LONGER = {"GPT-4/Vanilla_NoRules": 278, "ChatGPT/Vanilla_NoRules": 261}  # verdicts for it, of 390 on "mt_bench"
LONGER_LABELS = {"mt_bench": (136, 195), "faireval": (39, 66), "llmeval2": (121, 197)}

# --- JudgeBench: https://github.com/ScalerLab/JudgeBench -------------------------------------------------------------

GROUPS = {"knowledge": 154, "reasoning": 98, "math": 56, "code": 42}
# Right of all 350 and of each group.
O1_MINI = (230, (90, 61, 46, 33))
REWARD_MODELS = {
    "Ray2333_GRM-Gemma-2B-rewardmodel-ft": (208, (97, 52, 36, 23)),
    "Skywork_Skywork-Reward-Llama-3.1-8B": (218, (91, 63, 43, 21)),
    "internlm_internlm2-20b-reward": (222, (96, 68, 37, 21)),
}
