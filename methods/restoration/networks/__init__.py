"""Architectures of learned restorers: what a network computes, nothing of where its weights come from.

Each is a `torch.nn.Module` made from its frozen configuration, and takes images of any size.
"""
