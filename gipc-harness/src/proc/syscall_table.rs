//! The system calls in which a thread may sleep, with their numbers on the architecture that this program is built for.

/// A system call that may block.
pub(super) struct Syscall {
    pub(super) number: libc::c_long,
    pub(super) name: &'static str,
    pub(super) target: Target,
    pub(super) timeout: TimeoutArg,
}

/// What the first argument of a system call is.
#[derive(PartialEq, Eq)]
#[cfg_attr(not(target_os = "linux"), allow(dead_code))]
pub(super) enum Target {
    Descriptor,
    /// The number of a call on sockets. The arguments of that call are in memory, where the second argument points.
    #[cfg_attr(not(any(target_arch = "x86", target_arch = "s390x")), allow(dead_code))]
    SocketCall,
    Other,
}

/// Where a system call has its timeout.
#[cfg_attr(not(target_os = "linux"), allow(dead_code))]
pub(super) enum TimeoutArg {
    /// It has none.
    Never,
    /// The call always ends by itself.
    Always,
    /// In this argument, in milliseconds; negative means no timeout.
    Milliseconds(usize),
    /// This argument points to seconds and a fraction, each of this many bytes, relative to the start of the call. Null
    /// means no timeout.
    Timespec(usize, usize),
    /// The same at argument 3, but relative only if the operation (argument 1) is a plain wait.
    Futex(usize),
}

/// The size of a number of seconds in the calls that every architecture has.
#[cfg(target_os = "linux")]
const WORD: usize = size_of::<libc::c_long>();

/// A call whose first argument is a descriptor, and which has no timeout.
#[cfg(target_os = "linux")]
const fn on_fd(number: libc::c_long, name: &'static str) -> Syscall {
    Syscall { number, name, target: Target::Descriptor, timeout: TimeoutArg::Never }
}

#[cfg(target_os = "linux")]
const fn other(number: libc::c_long, name: &'static str, timeout: TimeoutArg) -> Syscall {
    Syscall { number, name, target: Target::Other, timeout }
}

#[cfg(target_os = "linux")]
pub(super) const SYSCALLS: &[Syscall] = &[
    on_fd(libc::SYS_read, "read"),
    on_fd(libc::SYS_readv, "readv"),
    on_fd(libc::SYS_write, "write"),
    on_fd(libc::SYS_writev, "writev"),
    on_fd(libc::SYS_recvmsg, "recvmsg"),
    on_fd(libc::SYS_recvfrom, "recvfrom"),
    on_fd(libc::SYS_sendmsg, "sendmsg"),
    on_fd(libc::SYS_sendto, "sendto"),
    on_fd(libc::SYS_accept4, "accept"),
    other(libc::SYS_wait4, "wait", TimeoutArg::Never),
    other(libc::SYS_waitid, "wait", TimeoutArg::Never),
    other(libc::SYS_rt_sigsuspend, "sigsuspend", TimeoutArg::Never),
    other(libc::SYS_futex, "futex", TimeoutArg::Futex(WORD)),
    other(libc::SYS_ppoll, "poll", TimeoutArg::Timespec(2, WORD)),
    other(libc::SYS_pselect6, "select", TimeoutArg::Timespec(4, WORD)),
    other(libc::SYS_epoll_pwait, "epoll", TimeoutArg::Milliseconds(3)),
    other(libc::SYS_rt_sigtimedwait, "sigwait", TimeoutArg::Timespec(2, WORD)),
    other(libc::SYS_clock_nanosleep, "sleep", TimeoutArg::Always),
    other(libc::SYS_nanosleep, "sleep", TimeoutArg::Always),
    #[cfg(not(any(
        target_arch = "aarch64",
        target_arch = "riscv64",
        target_arch = "riscv32",
        target_arch = "loongarch64"
    )))]
    other(libc::SYS_epoll_wait, "epoll", TimeoutArg::Milliseconds(3)),
    #[cfg(not(any(
        target_arch = "aarch64",
        target_arch = "riscv64",
        target_arch = "riscv32",
        target_arch = "loongarch64"
    )))]
    other(libc::SYS_poll, "poll", TimeoutArg::Milliseconds(2)),
    #[cfg(not(any(
        target_arch = "aarch64",
        target_arch = "riscv64",
        target_arch = "riscv32",
        target_arch = "loongarch64"
    )))]
    other(libc::SYS_pause, "pause", TimeoutArg::Never),
    #[cfg(any(target_arch = "x86_64", target_arch = "s390x"))]
    other(libc::SYS_select, "select", TimeoutArg::Timespec(4, WORD)),
    #[cfg(any(
        target_arch = "x86",
        target_arch = "arm",
        target_arch = "powerpc",
        target_arch = "powerpc64"
    ))]
    other(libc::SYS__newselect, "select", TimeoutArg::Timespec(4, WORD)),
    #[cfg(not(any(target_arch = "x86", target_arch = "s390x")))]
    on_fd(libc::SYS_accept, "accept"),
    // On these systems glibc makes all calls on sockets through one, since Linux before 4.3 had no others.
    #[cfg(any(target_arch = "x86", target_arch = "s390x"))]
    Syscall {
        number: libc::SYS_socketcall,
        name: "socketcall",
        target: Target::SocketCall,
        timeout: TimeoutArg::Never,
    },
    // 32-bit systems also have calls with 64-bit times. Their numbers are the same on all such systems.
    #[cfg(target_pointer_width = "32")]
    other(407, "sleep", TimeoutArg::Always),
    #[cfg(target_pointer_width = "32")]
    other(413, "select", TimeoutArg::Timespec(4, 8)),
    #[cfg(target_pointer_width = "32")]
    other(414, "poll", TimeoutArg::Timespec(2, 8)),
    #[cfg(target_pointer_width = "32")]
    other(421, "sigwait", TimeoutArg::Timespec(2, 8)),
    #[cfg(target_pointer_width = "32")]
    other(422, "futex", TimeoutArg::Futex(8)),
];
#[cfg(not(target_os = "linux"))]
pub(super) const SYSCALLS: &[Syscall] = &[];

/// The name of a call that is made through `socketcall` and may block, by its number there.
pub(super) fn socket_call_name(number: u64) -> Option<&'static str> {
    Some(match number {
        3 => "connect",
        5 | 18 => "accept",
        9 | 11 => "sendto",
        10 | 12 => "recvfrom",
        16 => "sendmsg",
        17 => "recvmsg",
        _ => return None,
    })
}
