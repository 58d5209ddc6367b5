"""Checkers for the exercises of lesson 15."""

import torch
import torch.nn.functional as F

from exercises import Wrong, as_number, as_tensor, call, close, exercise, recognize

WITHIN = 1e-5


@exercise("15.1")
def max_norm(answer):
    """Of (W, limit): each column of W, (inputs, units), scaled down to the length `limit`, if it is longer."""
    g = torch.Generator().manual_seed(1)
    W = torch.randn((6, 8), generator=g) * torch.linspace(0.2, 2, 8)
    for limit in (2.0, 3.0):
        result = as_tensor(call(answer, W.clone(), limit), W.shape, "the result")
        length = W.norm(dim=0)
        right = W * (limit / length).clamp(max=1)
        if close(result, right, WITHIN):
            continue
        start = f"limit = {limit:g}: "
        rows = W.norm(dim=1, keepdim=True)
        usual = [
            (W, "nothing has changed. Some columns are longer than the limit."),
            (W * limit / length, "the short columns have grown. What should become of those?"),
            (
                W * (limit / rows).clamp(max=1),
                "you limit the rows. Along which dimension do the weights into one unit lie?",
            ),
            (
                W.clamp(-limit, limit),
                "you limit each weight. What is to be limited is the length of a column.",
            ),
            (
                W * (limit / W.norm()).clamp(max=1),
                "you limit the whole matrix. Each column has a length of its own.",
            ),
            (
                W * (limit / length**2).clamp(max=1),
                "the long columns get too short. Is the length the sum of squares, or its root?",
            ),
            (
                W * (limit / length).clamp(min=1),
                "the short columns grow, and the long ones stay. Which factors should be 1?",
            ),
        ]
        recognize(result, usual, WITHIN, start=start)
        raise Wrong(
            f"{start}not the columns that are wanted. What is the length of each in your result?"
        )
    return "Directions stay as they were. Only the long columns are shorter."


@exercise("15.2")
def both(answer):
    """Of (w, l1, l2): the gradient of l1 Σ|w| + l2/2 Σw²."""
    w = torch.tensor([[0.5, -2.0, 0.0], [-0.25, 3.0, 1.5]])
    for l1, l2 in ((0.3, 0.7), (0.02, 0.0), (0.0, 0.4)):
        result = call(answer, w.clone(), l1, l2)
        start = f"l1 = {l1}, l2 = {l2}: "
        price = l1 * w.abs().sum() + l2 / 2 * (w**2).sum()
        if (isinstance(result, torch.Tensor) and result.numel() == 1) or isinstance(result, float):
            what = "the price itself" if close(float(result), price, 1e-4) else "a single number"
            raise Wrong(f"{start}that is {what}. Its gradient has one number for each weight.")
        result = as_tensor(result, w.shape, "the gradient")
        right = l1 * w.sign() + l2 * w
        if close(result, right, WITHIN):
            continue
        usual = [
            (-right, "the sign is turned round: a step goes *against* what you return."),
            (l1 * w.sign() + 2 * l2 * w, "the L2 part is twice as large. What does the half do?"),
            (
                l1 * w.sign() + l2 / 2 * w,
                "the L2 part is half as large. What is the derivative of w²?",
            ),
            (
                l1 * w.abs() + l2 * w,
                "the L1 part is the price, |w|. What is its slope, left and right of 0?",
            ),
            (
                l1 + l2 * w,
                "the L1 part pushes negative weights away from 0. Which sign has its slope there?",
            ),
            (l1 * w.abs() + l2 / 2 * w**2, "that is each weight's price, and not its derivative."),
            (l2 * w, "the L1 part is missing."),
            (l1 * w.sign(), "the L2 part is missing."),
        ]
        recognize(result, usual, WITHIN, start=start)
        raise Wrong(f"{start}not the derivative of the price. Take it for a single weight first.")
    return "Zou and Hastie call this price the elastic net."


@exercise("15.3")
def vote(answer):
    """Of (logits, Y): the loss of the average of the networks' probabilities. logits: (networks, N, symbols)."""
    g = torch.Generator().manual_seed(2)
    logits, Y = 3 * torch.randn((4, 10, 5), generator=g), torch.randint(5, (10,), generator=g)
    result = as_number(call(answer, logits.clone(), Y.clone()), "the loss")
    each = torch.stack([F.cross_entropy(one, Y) for one in logits])
    probabilities = F.softmax(logits, 2)
    right = F.nll_loss(probabilities.mean(0).log(), Y)
    if close(result, right, 1e-4):
        return "The average of the losses is never lower than that: −log is convex."
    usual = [
        (
            each.mean(),
            "that is the average of the losses. The networks vote before the loss is taken.",
        ),
        (
            F.cross_entropy(logits.mean(0), Y),
            "you average the logits. What must they become before?",
        ),
        (each.min(), "that is the loss of the best network alone."),
        (right * len(Y), "that is the sum over the examples, and not their mean."),
        (
            F.cross_entropy(probabilities.mean(0), Y),
            "a softmax is taken twice: probabilities are no logits.",
        ),
        (-right, "the sign is turned round."),
        (
            F.softmax(logits, 1).mean(0)[range(len(Y)), Y].log().mean().neg(),
            "your softmax adds up over the examples. Over which dimension should it?",
        ),
        (
            F.softmax(logits, 0).mean(0)[range(len(Y)), Y].log().mean().neg(),
            "your softmax adds up over the networks. Over which dimension should it?",
        ),
    ]
    recognize(result, usual, 1e-4)
    raise Wrong(
        "not the loss of the average. First each network's probabilities, then their mean, then −log."
    )
