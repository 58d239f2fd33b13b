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
from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.core.typing.templates import AbstractTemplate, infer_global, signature
from numba.extending import intrinsic as _untyped_intrinsic
from numba.extending import lower_builtin, models, register_model

from methods.splatting.jit import kernel

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


def intrinsic(function: Callable[..., Any]) -> Callable[..., Any]:
    """numba's decorator; the function is called from compiled code without its typing context."""
    compiled: Callable[..., Any] = _untyped_intrinsic(function)
    return compiled


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
    function = cgutils.get_or_insert_function(builder.module, ir.FunctionType(result, [a.type for a in args]), name)
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
def prefetch(typingctx, array, offset):
    """Ask for the cache line of an element of any array, counted in elements; never faults."""

    def codegen(context, builder, sig, args):
        data = cgutils.create_struct_proxy(sig.args[0])(context, builder, args[0]).data
        address = builder.bitcast(builder.gep(data, [args[1]]), ir.IntType(8).as_pointer())
        read, keep, is_data = (ir.Constant(_I32, k) for k in (0, 3, 1))
        signature_ = ir.FunctionType(ir.VoidType(), [address.type, _I32, _I32, _I32])
        function = cgutils.get_or_insert_function(builder.module, signature_, "llvm.prefetch.p0")
        builder.call(function, [address, read, keep, is_data])
        return context.get_dummy_value()

    return types.void(array, types.intp), codegen


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
    """The smaller of two, lane by lane; b where either is NaN."""

    def codegen(context, builder, sig, args):
        return builder.select(builder.fcmp_ordered("<", args[0], args[1]), args[0], args[1])

    return Lanes(Lanes, Lanes), codegen


@intrinsic
def maximum(typingctx, a, b):
    """The larger of two, lane by lane; b where either is NaN."""

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
def compress_matching(typingctx, values, begin, end, bit, out, position):
    """Of the at most 16 elements begin..end of an int32 array, write the indices of those that have the bit set.

    The indices go to out[position] and following, an int32 array with 16 elements to spare; `values` is read 16
    elements on from `begin`. Returns how many there are.
    """

    def codegen(context, builder, sig, args):
        def data(k):
            return cgutils.create_struct_proxy(sig.args[k])(context, builder, args[k]).data

        def narrow(value):
            return _splat_value(builder, builder.trunc(value, _I32), _INTS)

        pointer = builder.gep(data(0), [args[1]])
        masks = builder.load(builder.bitcast(pointer, _INTS.as_pointer()), align=4)
        indices = builder.add(narrow(args[1]), ir.Constant(_INTS, list(range(WIDTH))))
        one = builder.shl(ir.Constant(args[3].type, 1), args[3])
        zero = ir.Constant(_INTS, [0] * WIDTH)
        wanted = builder.icmp_signed("!=", builder.and_(masks, narrow(one)), zero)
        wanted = builder.and_(wanted, builder.icmp_signed("<", indices, narrow(args[2])))
        packed = _call(builder, f"llvm.experimental.vector.compress.v{WIDTH}i32", _INTS, [indices, wanted, zero])
        target = builder.gep(data(4), [args[5]])
        builder.store(packed, builder.bitcast(target, _INTS.as_pointer()), align=4)
        count = _call(builder, f"llvm.ctpop.i{WIDTH}", ir.IntType(WIDTH), [builder.bitcast(wanted, ir.IntType(WIDTH))])
        return builder.zext(count, ir.IntType(64))

    integer = types.intp
    return types.int64(values, integer, integer, integer, out, integer), codegen


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


@intrinsic
def transposed(typingctx, vectors):
    """Sixteen rows from sixteen columns: lane j of result i is lane i of vectors[j]."""

    def codegen(context, builder, sig, args):
        rows = [builder.extract_value(args[0], i) for i in range(WIDTH)]
        stride = 1
        while stride < WIDTH:
            keep = [i if not i & stride else WIDTH + (i ^ stride) for i in range(WIDTH)]
            swap = [i ^ stride if not i & stride else WIDTH + i for i in range(WIDTH)]
            merged = list(rows)
            for k in range(WIDTH):
                if not k & stride:
                    a, b = rows[k], rows[k | stride]
                    merged[k] = builder.shuffle_vector(a, b, ir.Constant(_INTS, keep))
                    merged[k | stride] = builder.shuffle_vector(a, b, ir.Constant(_INTS, swap))
            rows = merged
            stride *= 2
        return context.make_tuple(builder, sig.return_type, rows)

    return types.UniTuple(Lanes, WIDTH)(vectors), codegen


def _columns(n: int) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """Functions that read and write 16 rows of an array with n columns as n vectors."""

    @intrinsic
    def load_columns(typingctx, array, offset):
        def codegen(context, builder, sig, args):
            start = _pointer(context, builder, sig.args[0], args[0], args[1])
            wide = ir.VectorType(_F32, n * WIDTH)
            everything = builder.load(builder.bitcast(start, wide.as_pointer()), align=4)
            columns = []
            for column in range(n):
                pick = ir.Constant(_INTS, [n * row + column for row in range(WIDTH)])
                columns.append(builder.shuffle_vector(everything, everything, pick))
            return context.make_tuple(builder, sig.return_type, columns)

        return types.UniTuple(Lanes, n)(array, types.intp), codegen

    @intrinsic
    def store_columns(typingctx, array, offset, columns):
        def codegen(context, builder, sig, args):
            start = _pointer(context, builder, sig.args[0], args[0], args[1])
            parts = [builder.extract_value(args[2], i) for i in range(n)]
            if n == 3:
                parts.append(parts[2])
            double = ir.VectorType(_I32, 2 * WIDTH)
            join = ir.Constant(double, list(range(2 * WIDTH)))
            left = builder.shuffle_vector(parts[0], parts[1], join)
            right = builder.shuffle_vector(parts[2], parts[3], join)
            order = [WIDTH * (k % n) + k // n for k in range(n * WIDTH)]
            everything = builder.shuffle_vector(left, right, ir.Constant(ir.VectorType(_I32, n * WIDTH), order))
            wide = ir.VectorType(_F32, n * WIDTH)
            builder.store(everything, builder.bitcast(start, wide.as_pointer()), align=4)
            return context.get_dummy_value()

        return types.void(array, types.intp, columns), codegen

    return load_columns, store_columns


load3, store3 = _columns(3)
load4, store4 = _columns(4)


@intrinsic
def load_strided(typingctx, array, offset, stride):
    """16 elements of a float32 array that lie `stride` elements apart."""

    def codegen(context, builder, sig, args):
        start = _pointer(context, builder, sig.args[0], args[0], args[1])
        result = ir.Constant(_LANES, ir.Undefined)
        for lane in range(WIDTH):
            element = builder.gep(start, [builder.mul(args[2], ir.Constant(args[2].type, lane))])
            result = builder.insert_element(result, builder.load(element, align=4), ir.Constant(_I32, lane))
        return result

    return Lanes(array, types.intp, types.intp), codegen


@intrinsic
def store_strided(typingctx, array, offset, stride, lanes):
    """Write 16 elements of a float32 array that lie `stride` elements apart."""

    def codegen(context, builder, sig, args):
        start = _pointer(context, builder, sig.args[0], args[0], args[1])
        for lane in range(WIDTH):
            element = builder.gep(start, [builder.mul(args[2], ir.Constant(args[2].type, lane))])
            builder.store(builder.extract_element(args[3], ir.Constant(_I32, lane)), element, align=4)
        return context.get_dummy_value()

    return types.void(array, types.intp, types.intp, Lanes), codegen


@intrinsic
def sqrt(typingctx, a):
    """Square root, lane by lane."""

    def codegen(context, builder, sig, args):
        return _call(builder, f"llvm.sqrt.v{WIDTH}f32", _LANES, args)

    return Lanes(Lanes), codegen


@intrinsic
def ceil(typingctx, a):
    """Smallest whole number not below, lane by lane."""

    def codegen(context, builder, sig, args):
        return _call(builder, f"llvm.ceil.v{WIDTH}f32", _LANES, args)

    return Lanes(Lanes), codegen


@intrinsic
def floor(typingctx, a):
    """Largest whole number not above, lane by lane."""

    def codegen(context, builder, sig, args):
        return _call(builder, f"llvm.floor.v{WIDTH}f32", _LANES, args)

    return Lanes(Lanes), codegen


@intrinsic
def equal(typingctx, a, b):
    """Lanes in which both are equal."""

    def codegen(context, builder, sig, args):
        return builder.fcmp_ordered("==", *args)

    return Mask(Lanes, Lanes), codegen


@intrinsic
def store_ints(typingctx, array, offset, lanes):
    """Write 16 lanes, rounded towards zero, to consecutive elements of an int32 array."""

    def codegen(context, builder, sig, args):
        pointer = _pointer(context, builder, sig.args[0], args[0], args[1])
        builder.store(builder.fptosi(args[2], _INTS), builder.bitcast(pointer, _INTS.as_pointer()), align=4)
        return context.get_dummy_value()

    return types.void(array, types.intp, Lanes), codegen


@intrinsic
def _round(typingctx, a):
    def codegen(context, builder, sig, args):
        return _call(builder, f"llvm.rint.v{WIDTH}f32", _LANES, args)

    return Lanes(Lanes), codegen


@intrinsic
def _power_of_two(typingctx, n):
    """2^n for whole n in -126..127."""

    def codegen(context, builder, sig, args):
        # Saturating: the plain conversion of NaN is undefined.
        whole = _call(builder, f"llvm.fptosi.sat.v{WIDTH}i32.v{WIDTH}f32", _INTS, args)
        biased = builder.add(whole, ir.Constant(_INTS, [127] * WIDTH))
        return builder.bitcast(builder.shl(biased, ir.Constant(_INTS, [23] * WIDTH)), _LANES)

    return Lanes(Lanes), codegen


@intrinsic
def _split(typingctx, a):
    """(e, m) with a = m 2^e and m in [0.75, 1.5), for positive normal a."""

    def codegen(context, builder, sig, args):
        def ints(value):
            return ir.Constant(_INTS, [value] * WIDTH)

        # Bits of 0.75: subtracting them makes the exponent field count from m = 0.75.
        shifted = builder.sub(builder.bitcast(args[0], _INTS), ints(0x3F400000))
        exponent = builder.ashr(shifted, ints(23))
        mantissa = builder.add(builder.and_(shifted, ints(0x007FFFFF)), ints(0x3F400000))
        parts = [builder.sitofp(exponent, _LANES), builder.bitcast(mantissa, _LANES)]
        return context.make_tuple(builder, sig.return_type, parts)

    return types.UniTuple(Lanes, 2)(Lanes), codegen


_LOG2_E = np.float32(1.4426950408889634)
# ln 2 in two parts, the first short enough that its product with a whole number is exact.
_LN2_HIGH, _LN2_LOW = np.float32(0.693359375), np.float32(-2.12194440e-4)
_EXP_RANGE = np.float32(87.0)
_C1, _C2, _C3, _C4, _C5, _C6 = (np.float32(1.0 / k) for k in (1, 2, 6, 24, 120, 720))
_L3, _L5, _L7, _L9 = (np.float32(2.0 / k) for k in (3, 5, 7, 9))


@kernel
def exp(x):
    """Exponential to about 2e-7; the argument is clamped to -87..87."""
    # In this order of arguments NaN stays NaN.
    x = minimum(splat(_EXP_RANGE), maximum(splat(-_EXP_RANGE), x))
    n = _round(x * splat(_LOG2_E))
    r = fma(n, splat(-_LN2_LOW), fma(n, splat(-_LN2_HIGH), x))
    p = fma(splat(_C6), r, splat(_C5))
    p = fma(p, r, splat(_C4))
    p = fma(p, r, splat(_C3))
    p = fma(p, r, splat(_C2))
    p = fma(p, r, splat(_C1))
    p = fma(p, r, splat(_C1))
    return p * _power_of_two(n)


@kernel
def log(x):
    """Natural logarithm of positive normal numbers to about 1e-7, from the series of atanh."""
    e, m = _split(x)
    s = (m - splat(_C1)) / (m + splat(_C1))
    q = s * s
    p = fma(splat(_L9), q, splat(_L7))
    p = fma(p, q, splat(_L5))
    p = fma(p, q, splat(_L3))
    p = fma(p, q, splat(np.float32(2.0)))
    return fma(e, splat(_LN2_HIGH), fma(e, splat(_LN2_LOW), s * p))
