"""Sixteen float32 lanes as a value inside numba code.

Numba turns loops into vector code only when LLVM's vectoriser agrees, and then keeps lane accumulators in memory.
This module gives compiled functions a value of LLVM type <16 x float> (`Lanes`) and of <16 x i1> (`Mask`), so that
the inner loops of the rasterizer are vector code by construction, with their accumulators in registers. LLVM maps
16 lanes to whatever the machine has: one AVX-512 register, two of AVX2, four of SSE or NEON.

No operation is marked "fast": forward and backward pass evaluate the same expression to the same bits.
Offsets are counted in float32 elements of a C-contiguous array and are NOT checked.
"""

from __future__ import annotations

import operator

from llvmlite import ir
from numba.core import cgutils, types
from numba.core.typing.templates import AbstractTemplate, infer_global, signature
from numba.extending import intrinsic, lower_builtin, models, register_model

WIDTH = 16
_F32 = ir.FloatType()
_I32 = ir.IntType(32)
_LANES = ir.VectorType(_F32, WIDTH)
_MASK = ir.VectorType(ir.IntType(1), WIDTH)
_INTS = ir.VectorType(_I32, WIDTH)


class LanesType(types.Type):
    """Numba type of 16 float32 values."""

    def __init__(self) -> None:
        super().__init__(name="Lanes")


class MaskType(types.Type):
    """Numba type of 16 truth values."""

    def __init__(self) -> None:
        super().__init__(name="Mask")


Lanes = LanesType()
Mask = MaskType()


@register_model(LanesType)
class _LanesModel(models.PrimitiveModel):
    def __init__(self, dmm, fe_type):
        super().__init__(dmm, fe_type, _LANES)


@register_model(MaskType)
class _MaskModel(models.PrimitiveModel):
    def __init__(self, dmm, fe_type):
        super().__init__(dmm, fe_type, _MASK)


def _define_operators() -> None:
    """Arithmetic and comparison of Lanes, and logic of Mask, as Python's operators."""
    arithmetic = {
        operator.add: "fadd",
        operator.sub: "fsub",
        operator.mul: "fmul",
        operator.truediv: "fdiv",
    }
    comparison = {operator.ge: ">=", operator.gt: ">", operator.le: "<=", operator.lt: "<"}
    logic = {operator.and_: "and_", operator.or_: "or_"}

    def define(function, operand, result, emit):
        class Template(AbstractTemplate):
            def generic(self, args, kws):
                if len(args) == 2 and args[0] == operand and args[1] == operand:
                    return signature(result, operand, operand)
                return None

        infer_global(function)(Template)

        @lower_builtin(function, type(operand), type(operand))
        def lower(context, builder, sig, args):
            return emit(builder, *args)

    for function, name in arithmetic.items():
        define(function, Lanes, Lanes, lambda b, x, y, name=name: getattr(b, name)(x, y))
    for function, symbol in comparison.items():
        define(function, Lanes, Mask, lambda b, x, y, symbol=symbol: b.fcmp_ordered(symbol, x, y))
    for function, name in logic.items():
        define(function, Mask, Mask, lambda b, x, y, name=name: getattr(b, name)(x, y))


_define_operators()


def _splat_value(builder, scalar, vector_type):
    undefined = ir.Constant(vector_type, ir.Undefined)
    first = builder.insert_element(undefined, scalar, ir.Constant(_I32, 0))
    zeros = ir.Constant(_INTS, [0] * WIDTH)
    return builder.shuffle_vector(first, undefined, zeros)


def _pointer(context, builder, array_type, array, offset):
    data = cgutils.create_struct_proxy(array_type)(context, builder, array).data
    return builder.gep(builder.bitcast(data, _F32.as_pointer()), [offset])


def _call(builder, name, result, args):
    function = cgutils.get_or_insert_function(
        builder.module, ir.FunctionType(result, [a.type for a in args]), name
    )
    return builder.call(function, args)


@intrinsic
def splat(typingctx, value):
    """All 16 lanes equal to a float32."""
    if value != types.float32:
        return None

    def codegen(context, builder, sig, args):
        return _splat_value(builder, args[0], _LANES)

    return Lanes(types.float32), codegen


@intrinsic
def load(typingctx, array, offset):
    """16 consecutive elements of a float32 array, starting `offset` elements from its start."""

    def codegen(context, builder, sig, args):
        pointer = _pointer(context, builder, sig.args[0], args[0], args[1])
        return builder.load(builder.bitcast(pointer, _LANES.as_pointer()), align=4)

    return Lanes(array, types.intp), codegen


@intrinsic
def store(typingctx, array, offset, lanes):
    """Write 16 consecutive elements of a float32 array."""

    def codegen(context, builder, sig, args):
        pointer = _pointer(context, builder, sig.args[0], args[0], args[1])
        builder.store(args[2], builder.bitcast(pointer, _LANES.as_pointer()), align=4)
        return context.get_dummy_value()

    return types.void(array, types.intp, Lanes), codegen


@intrinsic
def broadcast(typingctx, array, offset):
    """All 16 lanes equal to one element of a float32 array."""

    def codegen(context, builder, sig, args):
        pointer = _pointer(context, builder, sig.args[0], args[0], args[1])
        return _splat_value(builder, builder.load(pointer, align=4), _LANES)

    return Lanes(array, types.intp), codegen


@intrinsic
def fma(typingctx, a, b, c):
    """a * b + c with one rounding."""

    def codegen(context, builder, sig, args):
        return _call(builder, f"llvm.fma.v{WIDTH}f32", _LANES, args)

    return Lanes(Lanes, Lanes, Lanes), codegen


@intrinsic
def minimum(typingctx, a, b):
    """The smaller of two, lane by lane."""

    def codegen(context, builder, sig, args):
        return builder.select(builder.fcmp_ordered("<", args[0], args[1]), args[0], args[1])

    return Lanes(Lanes, Lanes), codegen


@intrinsic
def maximum(typingctx, a, b):
    """The larger of two, lane by lane."""

    def codegen(context, builder, sig, args):
        return builder.select(builder.fcmp_ordered(">", args[0], args[1]), args[0], args[1])

    return Lanes(Lanes, Lanes), codegen


@intrinsic
def select(typingctx, mask, a, b):
    """a where the mask is set, else b."""

    def codegen(context, builder, sig, args):
        return builder.select(*args)

    return Lanes(Mask, Lanes, Lanes), codegen


@intrinsic
def invert(typingctx, mask):
    """Lanes that are not in the mask."""

    def codegen(context, builder, sig, args):
        return builder.not_(args[0])

    return Mask(Mask), codegen


@intrinsic
def bits(typingctx, mask):
    """The mask as an integer: bit i is lane i."""

    def codegen(context, builder, sig, args):
        return builder.zext(builder.bitcast(args[0], ir.IntType(WIDTH)), ir.IntType(64))

    return types.int64(Mask), codegen


@intrinsic
def lowest_bit(typingctx, value):
    """Index of the lowest set bit of a non-zero int64."""

    def codegen(context, builder, sig, args):
        return _call(builder, "llvm.cttz.i64", ir.IntType(64), [args[0], ir.Constant(ir.IntType(1), 1)])

    return types.int64(types.int64), codegen


@intrinsic
def sums(typingctx, vectors):
    """Lane i of the result is the sum over the lanes of vectors[i]; vectors is a tuple of at most 16 Lanes.

    A binary tree of shuffles reduces all vectors at once, always in the same order.
    """
    n = len(vectors)

    def codegen(context, builder, sig, args):
        level = [builder.extract_value(args[0], i) for i in range(n)]
        # After the step with this stride, lanes agree with "which vector" in one more bit of their number.
        stride = 1
        while stride < WIDTH:
            merged = []
            take_a = [i if not i & stride else WIDTH + (i ^ stride) for i in range(WIDTH)]
            take_b = [i ^ stride if not i & stride else WIDTH + i for i in range(WIDTH)]
            for k in range(0, len(level), 2):
                a = level[k]
                b = level[k + 1] if k + 1 < len(level) else ir.Constant(_LANES, [0.0] * WIDTH)
                low = builder.shuffle_vector(a, b, ir.Constant(_INTS, take_a))
                high = builder.shuffle_vector(a, b, ir.Constant(_INTS, take_b))
                merged.append(builder.fadd(low, high))
            level = merged
            stride *= 2
        return level[0]

    return Lanes(vectors), codegen
