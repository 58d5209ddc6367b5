"""Where tensors are: on the CPU, or on a GPU where there is one."""

import torch


def known_device(device):
    """The torch.device of this name, such as "cuda"; the CPU for None.

    Raises ValueError if it cannot be used on this machine.
    """
    try:
        return torch.empty(0, device=torch.device("cpu" if device is None else device)).device
    except (AssertionError, RuntimeError, TypeError) as error:
        reason = str(error).partition("\n")[0].rstrip(".")
        raise ValueError(f"the device {device!r} cannot be used here: {reason}.") from error


def on_one_device(model, tensors, parameters, device=None):
    """The tensors on the device, to which the model is moved, too; for None as they are, all on one already.

    model: with a method `to`, if it is to be moved. parameters: those that the model computes with.

    Raises ValueError if the model and the tensors are then on different devices.
    """
    if device is not None:
        device = known_device(device)
        if hasattr(model, "to"):
            model.to(device)
        tensors = [tensor.to(device) for tensor in tensors]
    of_model, of_tensors = (
        {str(tensor.device) for tensor in some} for some in (parameters, tensors)
    )
    if len(of_model | of_tensors) > 1:
        raise ValueError(
            f"the model's parameters are on {' and '.join(sorted(of_model))}, and the examples on "
            f"{' and '.join(sorted(of_tensors))}: give all of them a .to() of one device."
        )
    return tensors
