# Entry and exit on x86_64.
#
# At the entry (the kernel's kexec code jumps here): long mode, memory identity
# mapped, interrupts off, CR4 = PAE (and LA57), no IDT, no usable GDT, the stack
# pointer unknown. All data are addressed relative to rip; nothing here needs to
# be relocated.

    .section .head, "ax"
    .globl  purgatory_entry
    .hidden purgatory_entry
purgatory_entry:
    cli
    cld
    mov     [rip + purgatory_caller_stack], rsp
    lea     rsp, [rip + purgatory_stack_top]

    sub     rsp, 16
    mov     word ptr [rsp], 4 * 8 - 1
    lea     rax, [rip + gdt64]
    mov     [rsp + 2], rax
    lgdt    [rsp]
    mov     eax, 0x18
    mov     ds, eax
    mov     es, eax
    mov     ss, eax
    mov     fs, eax
    mov     gs, eax
    push    0x10
    lea     rax, [rip + 1f]
    push    rax
    retfq
1:
    # Whatever the compiler makes of the Rust code: SSE works. (The kernel left
    # CR4.OSFXSR clear; the first movups would be an invalid opcode.)
    mov     rax, cr0
    mov     [rip + entry_cr0], rax
    and     rax, ~0xc                   # EM, TS
    or      rax, 0x2                    # MP
    mov     cr0, rax
    mov     rax, cr4
    mov     [rip + entry_cr4], rax
    or      rax, 0x600                  # OSFXSR, OSXMMEXCPT
    mov     cr4, rax

    # A fault gets a message and a reset, not a silent triple fault.
    mov     word ptr [rsp], 32 * 16 - 1
    lea     rax, [rip + purgatory_idt]
    mov     [rsp + 2], rax
    lidt    [rsp]

    and     rsp, -16
    call    purgatory_main

    # The exit. No IDT, CR0 and CR4 as they were found.
    lidt    [rip + no_idt]
    cmp     dword ptr [rip + purgatory_params + {stack}], {stack_caller}
    jne     2f
    mov     rax, [rip + purgatory_caller_stack]
    mov     [rip + purgatory_params + {rsp}], rax
2:
    cmp     dword ptr [rip + purgatory_params + {mode}], {mode_protected32}
    je      exit32
    cmp     dword ptr [rip + purgatory_params + {mode}], {mode_four_level}
    je      four_levels
exit64:
    mov     rax, [rip + entry_cr4]
    mov     cr4, rax
    mov     rax, [rip + entry_cr0]
    mov     cr0, rax
    mov     rax, [rip + purgatory_params + {rax}]
    mov     rbx, [rip + purgatory_params + {rbx}]
    mov     rcx, [rip + purgatory_params + {rcx}]
    mov     rdx, [rip + purgatory_params + {rdx}]
    mov     rsi, [rip + purgatory_params + {rsi}]
    mov     rdi, [rip + purgatory_params + {rdi}]
    mov     rbp, [rip + purgatory_params + {rbp}]
    mov     rsp, [rip + purgatory_params + {rsp}]
    mov     r8, [rip + purgatory_params + {r8}]
    mov     r9, [rip + purgatory_params + {r9}]
    mov     r10, [rip + purgatory_params + {r10}]
    mov     r11, [rip + purgatory_params + {r11}]
    mov     r12, [rip + purgatory_params + {r12}]
    mov     r13, [rip + purgatory_params + {r13}]
    mov     r14, [rip + purgatory_params + {r14}]
    mov     r15, [rip + purgatory_params + {r15}]
    jmp     [rip + purgatory_params + {rip}]

    # From five levels of page tables to four: CR4.LA57 changes only while paging is
    # off, and that is only in 32-bit code (Intel SDM volume 3, 5.5). Here and on
    # the way back nothing but this code, its stack and the tables is touched.
four_levels:
    and     dword ptr [rip + entry_cr4], ~0x1000
    lea     rsp, [rip + purgatory_stack_top]
    sub     rsp, 16
    mov     word ptr [rsp], 5 * 8 - 1
    lea     rax, [rip + gdt64]
    mov     [rsp + 2], rax
    lgdt    [rsp]
    lea     rsi, [rip + exit64]
    mov     edi, [rip + purgatory_params + {page_tables}]
    mov     ebp, [rip + entry_cr4]
    push    0x20
    lea     rax, [rip + code32_four_levels]
    push    rax
    retfq

    # To 32-bit protected mode. In 32-bit code nothing is relative to eip, so the
    # stack pointer and the jump's distance are written into the instructions
    # themselves; the far return below makes the processor see them.
exit32:
    mov     eax, [rip + purgatory_params + {rsp}]
    mov     [rip + final_esp], eax
    mov     eax, [rip + purgatory_params + {rip}]
    lea     rcx, [rip + final_jump + 4]
    sub     eax, ecx
    mov     [rip + final_jump], eax
    lea     rsp, [rip + purgatory_stack_top]
    sub     rsp, 16
    mov     word ptr [rsp], 4 * 8 - 1
    lea     rax, [rip + gdt32]
    mov     [rsp + 2], rax
    lgdt    [rsp]
    lea     rbx, [rip + purgatory_params]
    push    0x10
    lea     rax, [rip + code32]
    push    rax
    retfq

    # The faults: each stub pushes its number. A non-maskable interrupt is no
    # fault of ours and is dropped.
    .p2align 4
    .globl  purgatory_fault_stubs
    .hidden purgatory_fault_stubs
purgatory_fault_stubs:
    .set    vector, 0
    .rept   32
    .p2align 3
    .if     vector == 2
    iretq
    .else
    push    vector
    jmp     fault
    .endif
    .set    vector, vector + 1
    .endr
fault:
    mov     rdi, rsp
    mov     rsi, cr2
    cld
    and     rsp, -16
    call    purgatory_fault
    ud2

    # The end of the ways to reset: a fault without an IDT.
    .globl  purgatory_triple_fault
    .hidden purgatory_triple_fault
purgatory_triple_fault:
    lidt    [rip + no_idt]
    ud2

    # The compiled `core` names it in its unwind tables, which are dropped.
    .globl  rust_eh_personality
    .hidden rust_eh_personality
rust_eh_personality:
    ud2

    # What the compiler may call.
    .globl  memcpy
    .hidden memcpy
memcpy:
    mov     rax, rdi
    mov     rcx, rdx
    rep movsb
    ret
    .globl  memmove
    .hidden memmove
memmove:
    mov     rax, rdi
    mov     rcx, rdx
    mov     r8, rdi
    sub     r8, rsi
    cmp     r8, rdx
    jb      3f
    rep movsb
    ret
3:  lea     rdi, [rdi + rdx - 1]
    lea     rsi, [rsi + rdx - 1]
    std
    rep movsb
    cld
    ret
    .globl  memset
    .hidden memset
memset:
    mov     r8, rdi
    mov     eax, esi
    mov     rcx, rdx
    rep stosb
    mov     rax, r8
    ret
    .globl  bcmp
    .hidden bcmp
    .globl  memcmp
    .hidden memcmp
bcmp:
memcmp:
    mov     rcx, rdx
    cmp     rdx, rdx                    # no bytes: equal
    repe cmpsb
    je      4f
    movzx   eax, byte ptr [rdi - 1]
    movzx   ecx, byte ptr [rsi - 1]
    sub     ecx, eax
    mov     eax, ecx
    ret
4:  xor     eax, eax
    ret

    # Apart from the rest, so that a disassembler can be told.
    .section .text32, "awx"
    .code32
code32:
    mov     eax, 0x18
    mov     ds, eax
    mov     es, eax
    mov     ss, eax
    mov     fs, eax
    mov     gs, eax
    mov     eax, 0x11                   # PE, ET; paging off leaves long mode
    mov     cr0, eax
    xor     eax, eax
    mov     cr4, eax
    mov     cr3, eax
    mov     ecx, 0xc0000080             # EFER
    rdmsr
    and     eax, ~0x100                 # LME
    wrmsr
    mov     eax, [ebx + {rax}]
    mov     ecx, [ebx + {rcx}]
    mov     edx, [ebx + {rdx}]
    mov     esi, [ebx + {rsi}]
    mov     edi, [ebx + {rdi}]
    mov     ebp, [ebx + {rbp}]
    mov     ebx, [ebx + {rbx}]
    .byte   0xbc                        # mov esp, imm32
final_esp:
    .long   0
    .byte   0xe9                        # jmp rel32
final_jump:
    .long   0

code32_four_levels:
    mov     eax, 0x18
    mov     ss, eax
    mov     eax, cr0
    and     eax, 0x7fffffff             # PG; EFER.LME stays
    mov     cr0, eax
    mov     cr4, ebp
    mov     cr3, edi
    or      eax, 0x80000000
    mov     cr0, eax
    push    0x10
    push    esi
    retf
    .code64

    .section .data.tables, "aw"
    .p2align 3
    # 0x10 and 0x18 are what the boot protocols call __BOOT_CS and __BOOT_DS
    # (Documentation/arch/x86/boot.rst).
gdt64:
    .quad   0
    .quad   0
    .quad   0x00af9b000000ffff          # code, 64-bit
    .quad   0x00cf93000000ffff          # data, flat
    .quad   0x00cf9b000000ffff          # code, 32-bit, flat
gdt32:
    .quad   0
    .quad   0
    .quad   0x00cf9b000000ffff          # code, 32-bit, flat
    .quad   0x00cf93000000ffff          # data, flat
no_idt:
    .word   0
    .quad   0

    .section .params, "aw"
    .p2align 3
    .globl  purgatory_params
    .hidden purgatory_params
purgatory_params:
    .skip   {params_size}

    .section .bss.entry, "aw", @nobits
    .p2align 4
    .globl  purgatory_idt
    .hidden purgatory_idt
purgatory_idt:
    .skip   32 * 16
    .globl  purgatory_caller_stack
    .hidden purgatory_caller_stack
purgatory_caller_stack:
    .skip   8
entry_cr0:
    .skip   8
entry_cr4:
    .skip   8
    .p2align 4
    .skip   4096
    .globl  purgatory_stack_top
    .hidden purgatory_stack_top
purgatory_stack_top:
