"""Checkers for the exercises of lesson 18."""

import math

import torch

from exercises import Wrong, as_number, as_tensor, call, close, exercise, recognize


@exercise("18.1")
def attend(answer):
    """A function of a query, (d,), keys, (T, d), and values, (T, v): what is read, (v,), by scaled dot products."""
    g = torch.Generator().manual_seed(18)
    for d, T, v in ((16, 5, 3), (4, 4, 4), (9, 7, 9)):
        query = torch.randn(d, generator=g)
        keys, values = torch.randn((T, d), generator=g), torch.randn((T, v), generator=g)
        result = call(answer, query.clone(), keys.clone(), values.clone())
        if torch.is_tensor(result) and result.shape == (T,) and v != T:
            raise Wrong(f"{T} numbers, one for each place. And what is read from the values?")
        result = as_tensor(result, (v,), "what is read")
        dots = keys @ query
        if close(result, (dots / d**0.5).softmax(0) @ values, 1e-5):
            continue
        usual = [
            (dots.softmax(0) @ values, "the scores are not divided. By what, for d numbers?"),
            ((dots / d).softmax(0) @ values, "you divide by d. Which std has a sum of d products?"),
            ((dots / T**0.5).softmax(0) @ values, "you divide by √T. What is a score a sum over?"),
            ((dots * d**0.5).softmax(0) @ values, "you multiply by √d. Do scores get smaller so?"),
            (dots / d**0.5 @ values, "the weights do not sum to 1. What makes them do so?"),
            (values[dots.argmax()], "you read one place alone. Which slope has such a choice?"),
            (values.mean(0), "all places count alike. Where does the query come in?"),
        ]
        recognize(result, usual, 1e-5, start=f"d = {d}, {T} places: ")
        raise Wrong(
            f"d = {d}, {T} places: the shape is right, the numbers are not. "
            "Do your weights sum to 1 over the places?"
        )
    return "These are the lines that lesson 18's networks look with."


@exercise("18.2")
def window_weights(answer):
    """A function of scores, (T, T), and a window: weights, (T, T), on each place itself and the window - 1 before."""
    g = torch.Generator().manual_seed(18)
    for T, window in ((5, 2), (6, 1), (4, 9), (7, 3)):
        scores = torch.randn((T, T), generator=g)
        result = as_tensor(call(answer, scores.clone(), window), (T, T), "the weights")

        def within(size, shift=0, scores=scores):
            seen = torch.ones_like(scores).tril(-shift).triu(1 - size - shift).bool()
            return scores.masked_fill(~seen, -1e9).softmax(-1)

        right = within(window)
        if close(result, right, 1e-5):
            continue
        start = f"{T} places, a window of {window}: "
        if result.isnan().any():
            raise Wrong(start + "there are nan in it: may a place not look at itself?")
        seen = right > 0
        usual = [
            (scores.softmax(-1), "all places have weights. Where is the mask?"),
            (within(T), "no later place is seen, but all before. Where does the window end?"),
            (within(window + 1), "a place sees one too many. Is it itself a part of the window?"),
            (
                within(window - 1) if window > 1 else right,
                "a place sees one too few. Is it itself a part of the window?",
            ),
            (within(T - window + 1, window - 1), "near places are hidden, far ones seen. And now?"),
            (
                scores.softmax(-1).masked_fill(~seen, 0),
                "what is hidden has no weight, but the rows do not sum to 1. Mask before the softmax?",
            ),
            (
                scores.masked_fill(~seen, 0).softmax(-1),
                "a score of 0 still gets a weight. Which score gets none?",
            ),
            (
                scores.masked_fill(~seen.T, -math.inf).softmax(-1),
                "each place sees itself and *later* ones. Which triangle is to go?",
            ),
            (
                scores.masked_fill(~(seen | seen.T), -math.inf).softmax(-1),
                "the window reaches to both sides. What must a place not see?",
            ),
            (
                scores.masked_fill(~seen, -math.inf).softmax(0),
                "the columns sum to 1, not the rows. Over which dimension is the softmax?",
            ),
        ]
        recognize(result, usual, 1e-5, start=start)
        raise Wrong(start + "the shape is right, the numbers are not. What is in the last row?")
    return "With a window as long as the text, it is lesson 18's causal attention."


@exercise("18.3")
def right_scale(answer):
    """A function of d and the stds of queries and keys: what makes the std of a score 1."""
    for d, q_std, k_std in ((64, 1.0, 2.0), (16, 0.5, 3.0), (100, 1.0, 1.0)):
        result = as_number(call(answer, d, q_std, k_std), "the scale")
        std = d**0.5 * q_std * k_std
        if close(result, 1 / std, 1e-4 / std):
            continue
        usual = [
            (std, "that is the std of the dot product. By what is it to be multiplied?"),
            (1 / d**0.5, "right for stds of 1. What do other stds change?"),
            (1 / (d * q_std * k_std), "d is not under a root. What adds up, stds or variances?"),
            (1 / std**2, "that makes the variance right only if it is 1. Where is a root missing?"),
            (1 / (d**0.5 * (q_std + k_std)), "the stds are added. Which std has a product?"),
            (1 / (d**0.5 * q_std * k_std**2), "the std of the keys is squared. Is it a variance?"),
            (1 / (d**0.5 * k_std), "where does the std of the queries come in?"),
        ]
        start = f"d = {d}, stds {q_std:g} and {k_std:g}: "
        recognize(result, usual, 1e-4, relative=True, start=start)
        raise Wrong(start + f"a score then has the std {abs(result) * std:.3g}.")
    return "With stds of 1 this is lesson 18's 1/√d."
