"""A generated world with known facts, annotators and features, that makes real checkpoints without any download.

    from evalsuite.microworld import checkpoints, world
    folder = checkpoints.resolve("nano/sft")           # an ordinary Hugging Face folder, trained where it is missing
    world.build("nano", seed=0).people[0].facts        # what is true in it

words, world, text, instructions, dialogue make the world's text; tokenizer, encoding, batches, pretraining, recipes,
building, founding, checkpoints make its models, supply and kin what the reference trainers make of them, all in places;
items, passages, features, gold, annotators say what is true and what is liked, judge as a MODEL (`microworld:gold`);
gates says what a build must show; shapes and export write all of it in public formats.
"""
