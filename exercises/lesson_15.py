"""Checkers for the exercises of lesson 15."""

import torch
import torch.nn.functional as F

from exercises import Wrong, as_number, as_tensor, call, close, exercise, recognize

WITHIN = 1e-5


@exercise("15.1")
def dropout(answer):
    """Of (h, p, noise, training): h with a share p set to 0 and the rest divided by 1 - p; h itself in use."""
    g = torch.Generator().manual_seed(1)
    for p in (0.25, 0.8):
        h = torch.randn((6, 8), generator=g)
        noise = torch.rand((6, 8), generator=g)
        kept = (noise >= p).float()
        used = as_tensor(call(answer, h.clone(), p, noise.clone(), False), h.shape, "the result")
        start = f"p = {p}, training = False: "
        usual = [
            (h * kept / (1 - p), "outputs are still dropped. Is that wanted in use?"),
            (h * (1 - p), "the outputs are scaled. You divide in training: what is left to do?"),
            (h / (1 - p), "the outputs are scaled, though nothing was dropped."),
        ]
        recognize(used, usual, WITHIN, start=start)
        if not close(used, h, WITHIN):
            raise Wrong(f"{start}the outputs should come back as they are. Do they?")
        dropped = as_tensor(call(answer, h.clone(), p, noise.clone(), True), h.shape, "the result")
        start = f"p = {p}, training = True: "
        usual = [
            (h * kept, "the right ones are 0, but the mean gets smaller. What makes up for it?"),
            (
                h * (1 - kept) / p,
                "those that should stay are 0. Which share of the noise is below p?",
            ),
            (
                h * (1 - kept) / (1 - p),
                "those that should stay are 0, and those that should go stay.",
            ),
            (h * (1 - kept), "those that should stay are 0, and the mean is not made up for."),
            (h * kept / p, "you divide by p. With which probability does an output stay?"),
            (h * kept * (1 - p), "the outputs get smaller twice. Multiply, or divide?"),
            (h, "nothing is dropped in training."),
        ]
        recognize(dropped, usual, WITHIN, start=start)
        if not close(dropped, h * kept / (1 - p), WITHIN):
            raise Wrong(
                f"{start}wrong values. What is an output if its noise is below p, and what else?"
            )
    return "In training the mean is kept, so in use there is nothing to do."


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
