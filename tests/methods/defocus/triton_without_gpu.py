"""What can be known of the Triton kernels without a GPU, as a program.

run      with TRITON_INTERPRET=1: Triton's interpreter executes them on the CPU, and the twins say what must come out
compile  the compiler makes machine code for an H100
"""

import sys

import torch

from methods.defocus import disk_cuda, gauss_cuda, reference


def gradients(blur, image, sigma, k, upstream):
    image, sigma = image.double().requires_grad_(), sigma.double().requires_grad_()
    out = blur(image, sigma, k)
    (out * upstream).sum().backward()
    return out.detach(), image.grad, sigma.grad


def check(name, actual, expected):
    error = (actual.double() - expected).abs().max().item() / max(1.0, expected.abs().max().item())
    assert error < 3e-6, f"{name}: {error}"
    print(f"{name}: {error:.1e}")


def gauss():
    random = torch.Generator().manual_seed(0)
    image, upstream = (torch.rand(11, 37, 2, generator=random) for _ in range(2))
    sigma, k = 2 * torch.rand(11, 37, generator=random), 2
    sigma[0, 0] = 0
    out, d_image, d_sigma = gradients(reference.gather_gauss, image, sigma, k, upstream)
    check("gather", gauss_cuda.gather(image, sigma, k), out)
    check("gather, d image", gauss_cuda.scatter(upstream, sigma, k), d_image)
    check("gather, d sigma", gauss_cuda.gather_slope(image, sigma, k, upstream), d_sigma)
    out, d_image, d_sigma = gradients(reference.scatter_gauss, image, sigma, k, upstream)
    check("scatter", gauss_cuda.scatter(image, sigma, k), out)
    both = gauss_cuda.gather_with_slope(upstream, sigma, k, image)
    check("scatter, d image", both[0], d_image)
    check("scatter, d sigma", both[1], d_sigma)


def disk():
    random = torch.Generator().manual_seed(0)
    height, width, m = 11, 37, 150
    index = torch.randperm(height * width, generator=random)[:m].sort().values
    values, rim = torch.rand(m, 2, generator=random), 0.5 + 1.7 * torch.rand(m, generator=random)
    upstream = torch.rand(height, width, 2, generator=random)
    leaves = values.double().requires_grad_(), rim.double().requires_grad_()
    out = reference.spread_disk(*leaves, index, height, width)
    (out * upstream).sum().backward()
    check("spread", disk_cuda.spread(values, rim, index, height, width), out.detach())
    d_values, d_rim = disk_cuda.collect(upstream, values, rim, index)
    check("spread, d values", d_values, leaves[0].grad)
    check("spread, d rim", d_rim, leaves[1].grad)


def compile_all():
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    tile = {"TILE_Y": 8, "TILE_X": 32}
    sigma_min = {"smallest": reference.SIGMA_MIN}
    both, slope, image = (
        {"with_slope": with_slope, "with_image": with_image}
        for with_slope, with_image in ((True, True), (True, False), (False, True))
    )
    kernels = [(gauss_cuda._gather, {**tile, **sigma_min, **outputs}) for outputs in (both, slope, image)]
    kernels += [(kernel, {**tile, **sigma_min}) for kernel in (gauss_cuda._weights, gauss_cuda._scatter)]
    kernels += [(disk_cuda._spread, tile), (disk_cuda._collect, {"RUN": 128})]
    integers = {"height": "i32", "width": "i32", "k": "i32", "m": "i32", "index": "*i64"}
    for kernel, constants in kernels:
        names = kernel.arg_names
        signature = {name: "constexpr" if name in constants else integers.get(name, "*fp32") for name in names}
        source = ASTSource(kernel, signature, {(names.index(name),): value for name, value in constants.items()})
        assert triton.compile(source, target=GPUTarget("cuda", 90, 32)).asm["cubin"]
        print(f"{kernel.__name__}: compiled")


if __name__ == "__main__":
    if sys.argv[1] == "compile":
        compile_all()
    else:
        gauss()
        disk()
