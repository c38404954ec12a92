# The instruction sets of the distance kernels: one object per set, each compiled for it and nothing
# else compiled for it. On other processors these files compile to an empty table.
ifeq ($(shell uname -m),x86_64)
isa_flags_avx2 := -mavx2 -mfma -mf16c
isa_flags_avx512 := -mavx2 -mfma -mf16c -mavx512f -mavx512bw -mavx512vl -mavx512dq
isa_flags_avx512_popcount := -mavx2 -mavx512f -mavx512bw -mavx512vl -mavx512dq -mavx512vpopcntdq
endif
# Codes have the same bits on every machine, with and without a fused multiply-add.
isa_flags_code := -ffp-contract=off
isa_flags = $(if $(filter src/engine/distance/%,$1),$(isa_flags_$(basename $(notdir $1))))
