//===- LibraryNames.cpp - Names of the C library --------------------------===//
#include "fovea/AheadOfTime/AheadOfTime.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/Analysis/TargetLibraryInfo.h"
#include "llvm/TargetParser/Triple.h"

using namespace fovea;

/// Functions, objects and types of ISO C17 (with its Annex K), of POSIX.1-2017
/// and of glibc's headers of the two, which rules and macros do not name yet;
/// what stddef.h, stdint.h, stdio.h and string.h declare with all extensions;
/// and what a program's start-up code defines.
static const char libraryNames[] = R"(
_exit _fini _init _longjmp _setjmp _start _tolower _toupper a64l abort
abort_handler_s abs accept access acct acos acosf acosh acoshf acoshl acosl
addseverity adjtime aio_cancel aio_error aio_fsync aio_read aio_return
aio_suspend aio_write alarm aligned_alloc alphasort arc4random arc4random_buf
arc4random_uniform asctime asctime_r asctime_s asin asinf asinh asinhf asinhl
asinl asprintf at_quick_exit atan atan2 atan2f atan2l atanf atanh atanhf atanhl
atanl atexit atof atoi atol atoll basename bcmp bcopy bind bindresvport
bindresvport6 brk bsearch bsearch_s btowc bzero c16rtomb c32rtomb cabs cabsf
cabsl cacos cacosf cacosh cacoshf cacoshl cacosl call_once calloc cargf cargl
casin casinf casinh casinhf casinhl casinl catan catanf catanh catanhf catanhl
catanl catclose catgets catopen cbrt cbrtf cbrtl ccos ccosf ccosh ccoshf ccoshl
ccosl ceil ceilf ceill cexp cexpf cexpl cfgetispeed cfgetospeed cfmakeraw
cfsetispeed cfsetospeed cfsetspeed chdir chmod chown chroot cimagf cimagl
clearenv clearerr clearerr_unlocked clock clock_getcpuclockid clock_getres
clock_gettime clock_nanosleep clock_settime clog clogf clogl close closedir
closefrom closelog cnd_broadcast cnd_destroy cnd_init cnd_signal cnd_timedwait
cnd_wait confstr conjf conjl connect copysign copysignf copysignl cos cosf cosh
coshf coshl cosl cpow cpowf cpowl cprojf cprojl crealf creall creat crypt csin
csinf csinh csinhf csinhl csinl csqrt csqrtf csqrtl ctan ctanf ctanh ctanhf
ctanhl ctanl ctermid ctime ctime_r ctime_s cuserid daemon daylight dbm_clearerr
dbm_close dbm_delete dbm_error dbm_fetch dbm_firstkey dbm_nextkey dbm_open
dbm_store difftime dirfd dirname div dlclose dlerror dlopen dlsym dprintf
drand48 drand48_r drem dremf dreml dup dup2 duplocale dysize ecvt ecvt_r
encrypt endgrent endhostent endnetent endnetgrent endprotoent endpwent
endrpcent endservent endusershell endutxent environ erand48 erand48_r erf erfcf
erfcl erff erfl execl execle execlp execv execve execvp exit exp exp2 exp2f
exp2l expf expl explicit_bzero expm1 expm1f expm1l fabs fabsf fabsl faccessat
fattach fchdir fchmod fchmodat fchown fchownat fclose fcloseall fcntl fcvt
fcvt_r fd_mask fd_set fdatasync fdetach fdim fdimf fdiml fdopen fdopendir
feclearexcept fegetenv fegetexceptflag fegetround feholdexcept feof
feof_unlocked feraiseexcept ferror ferror_unlocked fesetenv fesetexceptflag
fesetround fetestexcept feupdateenv fexecve fflush fflush_unlocked ffs ffsl
ffsll fgetc fgetc_unlocked fgetgrent fgetgrent_r fgetpos fgetpos64 fgetpwent
fgetpwent_r fgets fgets_unlocked fgetwc fgetws fileno fileno_unlocked finite
finitef finitel flockfile floor floorf floorl fmaf fmal fmax fmaxf fmaxl
fmemopen fmin fminf fminl fmod fmodf fmodl fmtmsg fnmatch fopen fopen64 fopen_s
fopencookie fork fpathconf fprintf fprintf_s fputc fputc_unlocked fputs
fputs_unlocked fputwc fputws fread fread_unlocked free freeaddrinfo freelocale
freopen freopen64 freopen_s frexp frexpf frexpl fscanf fscanf_s fseek fseeko
fseeko64 fsetpos fsetpos64 fstat fstatat fstatvfs fsync ftell ftello ftello64
ftok ftruncate ftrylockfile ftw funlockfile futimens futimes fwide fwprintf
fwprintf_s fwrite fwrite_unlocked fwscanf fwscanf_s gai_strerror gamma gammaf
gammal gcvt getaddrinfo getc getc_unlocked getchar getchar_unlocked getcontext
getcwd getdate getdate_err getdelim getdirentries getdomainname getdtablesize
getegid getentropy getenv getenv_s geteuid getgid getgrent getgrgid getgrgid_r
getgrnam getgrnam_r getgrouplist getgroups gethostbyaddr gethostbyaddr_r
gethostbyname gethostbyname2 gethostbyname2_r gethostbyname_r gethostent
gethostent_r gethostid gethostname getitimer getline getloadavg getlogin
getlogin_r getmsg getnameinfo getnetbyaddr getnetbyaddr_r getnetbyname
getnetbyname_r getnetent getnetent_r getnetgrent getnetgrent_r getopt
getpagesize getpass getpeername getpgid getpgrp getpid getpmsg getppid
getpriority getprotobyname getprotobyname_r getprotobynumber getprotobynumber_r
getprotoent getprotoent_r getpwent getpwent_r getpwnam getpwnam_r getpwuid
getpwuid_r getrlimit getrpcbyname getrpcbyname_r getrpcbynumber
getrpcbynumber_r getrpcent getrpcent_r getrusage gets gets_s getservbyname
getservbyname_r getservbyport getservbyport_r getservent getservent_r getsid
getsockname getsockopt getsubopt gettimeofday getuid getusershell getutxent
getutxid getutxline getw getwc getwchar getwd glob globfree gmtime gmtime_r
gmtime_s grantpt gsignal hcreate hdestroy herror hsearch hstrerror htonl htons
hypot hypotf hypotl iconv iconv_close iconv_open if_freenameindex
if_indextoname if_nameindex if_nametoindex ignore_handler_s ilogb ilogbf ilogbl
imaxabs imaxdiv in6addr_any in6addr_loopback index inet_addr inet_aton
inet_lnaof inet_makeaddr inet_net_ntop inet_net_pton inet_neta inet_netof
inet_network inet_nsap_addr inet_nsap_ntoa inet_ntoa inet_ntop inet_pton
initgroups initstate initstate_r innetgr insque ioctl iruserok iruserok_af
isastream isatty isfdtype isinff isinfl isnanf isnanl iswalnum iswalnum_l
iswalpha iswalpha_l iswblank iswblank_l iswcntrl iswcntrl_l iswctype iswctype_l
iswdigit iswdigit_l iswgraph iswgraph_l iswlower iswlower_l iswprint iswprint_l
iswpunct iswpunct_l iswspace iswspace_l iswupper iswupper_l iswxdigit
iswxdigit_l j0 j0f j0l j1 j1f j1l jmp_buf jn jnf jnl jrand48 jrand48_r kill
killpg l64a labs lchmod lchown lcong48 lcong48_r ldexp ldexpf ldexpl ldiv lfind
lgamma_r lgammaf lgammaf_r lgammal lgammal_r link linkat lio_listio listen
llabs lldiv llrintf llrintl llroundf llroundl localeconv localtime localtime_r
localtime_s lockf log log10 log10f log10l log1p log1pf log1pl log2 log2f log2l
logb logbf logbl logf logl longjmp lrand48 lrand48_r lrintf lrintl lroundf
lroundl lsearch lseek lstat lutimes madvise makecontext malloc mblen mbrlen
mbrtoc16 mbrtoc32 mbrtowc mbsinit mbsnrtowcs mbsrtowcs mbsrtowcs_s mbstowcs
mbstowcs_s mbtowc memccpy memchr memcmp memcpy memcpy_s memfrob memmem memmove
memmove_s memory_order mempcpy memrchr memset memset_s mincore mkdir mkdirat
mkdtemp mkfifo mkfifoat mknod mknodat mkstemp mkstemps mktemp mktime mlock
mlockall mmap modf modff modfl mprotect mq_close mq_getattr mq_notify mq_open
mq_receive mq_send mq_setattr mq_timedreceive mq_timedsend mq_unlink mrand48
mrand48_r msgctl msgget msgrcv msgsnd msync mtx_destroy mtx_init mtx_lock
mtx_timedlock mtx_trylock mtx_unlock munlock munlockall munmap nan nanf nanl
nanosleep nearbyint nearbyintf nearbyintl newlocale nextafter nextafterf
nextafterl nexttoward nexttowardf nexttowardl nftw nice nl_catd nl_item
nl_langinfo nl_langinfo_l nrand48 nrand48_r ntohl ntohs obstack obstack_printf
obstack_vprintf on_exit once_flag open open_memstream open_wmemstream openat
opendir openlog optarg opterr optind optopt pathconf pause pclose perror pipe
poll popen posix_fadvise posix_fallocate posix_madvise posix_mem_offset
posix_memalign posix_openpt posix_spawn posix_spawn_file_actions_addclose
posix_spawn_file_actions_adddup2 posix_spawn_file_actions_addopen
posix_spawn_file_actions_destroy posix_spawn_file_actions_init
posix_spawnattr_destroy posix_spawnattr_getflags posix_spawnattr_getpgroup
posix_spawnattr_getschedparam posix_spawnattr_getschedpolicy
posix_spawnattr_getsigdefault posix_spawnattr_getsigmask posix_spawnattr_init
posix_spawnattr_setflags posix_spawnattr_setpgroup
posix_spawnattr_setschedparam posix_spawnattr_setschedpolicy
posix_spawnattr_setsigdefault posix_spawnattr_setsigmask posix_spawnp
posix_trace_attr_destroy posix_trace_attr_getclockres
posix_trace_attr_getcreatetime posix_trace_attr_getgenversion
posix_trace_attr_getinherited posix_trace_attr_getlogfullpolicy
posix_trace_attr_getlogsize posix_trace_attr_getmaxdatasize
posix_trace_attr_getmaxsystemeventsize posix_trace_attr_getmaxusereventsize
posix_trace_attr_getname posix_trace_attr_getstreamfullpolicy
posix_trace_attr_getstreamsize posix_trace_attr_init
posix_trace_attr_setinherited posix_trace_attr_setlogfullpolicy
posix_trace_attr_setlogsize posix_trace_attr_setmaxdatasize
posix_trace_attr_setname posix_trace_attr_setstreamfullpolicy
posix_trace_attr_setstreamsize posix_trace_clear posix_trace_close
posix_trace_create posix_trace_create_withlog posix_trace_event
posix_trace_eventid_equal posix_trace_eventid_get_name posix_trace_eventid_open
posix_trace_eventset_add posix_trace_eventset_del posix_trace_eventset_empty
posix_trace_eventset_fill posix_trace_eventset_ismember
posix_trace_eventtypelist_getnext_id posix_trace_eventtypelist_rewind
posix_trace_flush posix_trace_get_attr posix_trace_get_filter
posix_trace_get_status posix_trace_getnext_event posix_trace_open
posix_trace_rewind posix_trace_set_filter posix_trace_shutdown
posix_trace_start posix_trace_stop posix_trace_timedgetnext_event
posix_trace_trid_eventid_open posix_trace_trygetnext_event
posix_typed_mem_get_info posix_typed_mem_open pow powf powl pread preadv printf
printf_s profil program_invocation_name program_invocation_short_name pselect
psiginfo psignal pthread_atfork pthread_attr_destroy
pthread_attr_getdetachstate pthread_attr_getguardsize
pthread_attr_getinheritsched pthread_attr_getschedparam
pthread_attr_getschedpolicy pthread_attr_getscope pthread_attr_getstack
pthread_attr_getstackaddr pthread_attr_getstacksize pthread_attr_init
pthread_attr_setdetachstate pthread_attr_setguardsize
pthread_attr_setinheritsched pthread_attr_setschedparam
pthread_attr_setschedpolicy pthread_attr_setscope pthread_attr_setstack
pthread_attr_setstackaddr pthread_attr_setstacksize pthread_barrier_destroy
pthread_barrier_init pthread_barrier_wait pthread_barrierattr_destroy
pthread_barrierattr_getpshared pthread_barrierattr_init
pthread_barrierattr_setpshared pthread_cancel pthread_cond_broadcast
pthread_cond_destroy pthread_cond_init pthread_cond_signal
pthread_cond_timedwait pthread_cond_wait pthread_condattr_destroy
pthread_condattr_getclock pthread_condattr_getpshared pthread_condattr_init
pthread_condattr_setclock pthread_condattr_setpshared pthread_create
pthread_detach pthread_equal pthread_exit pthread_getconcurrency
pthread_getcpuclockid pthread_getschedparam pthread_getspecific pthread_join
pthread_key_create pthread_key_delete pthread_kill pthread_mutex_consistent
pthread_mutex_destroy pthread_mutex_getprioceiling pthread_mutex_init
pthread_mutex_lock pthread_mutex_setprioceiling pthread_mutex_timedlock
pthread_mutex_trylock pthread_mutex_unlock pthread_mutexattr_destroy
pthread_mutexattr_getprioceiling pthread_mutexattr_getprotocol
pthread_mutexattr_getpshared pthread_mutexattr_getrobust
pthread_mutexattr_gettype pthread_mutexattr_init
pthread_mutexattr_setprioceiling pthread_mutexattr_setprotocol
pthread_mutexattr_setpshared pthread_mutexattr_setrobust
pthread_mutexattr_settype pthread_once pthread_rwlock_destroy
pthread_rwlock_init pthread_rwlock_rdlock pthread_rwlock_timedrdlock
pthread_rwlock_timedwrlock pthread_rwlock_tryrdlock pthread_rwlock_trywrlock
pthread_rwlock_unlock pthread_rwlock_wrlock pthread_rwlockattr_destroy
pthread_rwlockattr_getkind_np pthread_rwlockattr_getpshared
pthread_rwlockattr_init pthread_rwlockattr_setkind_np
pthread_rwlockattr_setpshared pthread_self pthread_setcancelstate
pthread_setcanceltype pthread_setconcurrency pthread_setschedparam
pthread_setschedprio pthread_setspecific pthread_sigmask pthread_spin_destroy
pthread_spin_init pthread_spin_lock pthread_spin_trylock pthread_spin_unlock
pthread_testcancel ptsname putc putc_unlocked putchar putchar_unlocked putenv
putmsg putpmsg putpwent puts pututxline putw putwc putwchar pwrite pwritev
qecvt qecvt_r qfcvt qfcvt_r qgcvt qsort qsort_s quick_exit raise rand rand_r
random random_r rawmemchr rcmd rcmd_af re_syntax_options read readdir readdir_r
readlink readlinkat readv realloc reallocarray realpath recv recvfrom recvmsg
regcomp regerror regexec regfree remainder remainderf remainderl remove remque
remquo remquof remquol rename renameat renameat2 revoke rewind rewinddir rexec
rexec_af rindex rint rintf rintl rmdir round roundf roundl rpmatch rresvport
rresvport_af ruserok ruserok_af sbrk scalb scalbf scalbl scalbln scalblnf
scalblnl scalbn scalbnf scalbnl scandir scanf scanf_s sched_get_priority_max
sched_get_priority_min sched_getparam sched_getscheduler sched_rr_get_interval
sched_setparam sched_setscheduler sched_yield seed48 seed48_r seek seekdir
select sem_close sem_destroy sem_getvalue sem_init sem_open sem_post
sem_timedwait sem_trywait sem_unlink sem_wait semctl semget semop send sendmsg
sendto set_constraint_handler_s setbuf setbuffer setcontext setdomainname
setegid setenv seteuid setgid setgrent setgroups sethostent sethostid
sethostname setitimer setkey setlinebuf setlocale setlogin setlogmask setnetent
setnetgrent setpgid setpgrp setpriority setprotoent setpwent setregid setreuid
setrlimit setrpcent setservent setsid setsockopt setstate setstate_r
settimeofday setuid setusershell setutxent setvbuf shm_open shm_unlink shmat
shmctl shmdt shmget shutdown sigabbrev_np sigaction sigaddset sigaltstack
sigblock sigdelset sigdescr_np sigemptyset sigfillset siggetmask sighold
sigignore siginterrupt sigismember sigjmp_buf siglongjmp signal signgam
significand significandf significandl sigpause sigpending sigprocmask sigqueue
sigrelse sigreturn sigset sigsetmask sigstack sigsuspend sigtimedwait sigwait
sigwaitinfo sin sinf sinh sinhf sinhl sinl sleep snprintf snprintf_s
snwprintf_s sockatmark socket socketpair sprintf sprintf_s sqrt sqrtf sqrtl
srand srand48 srand48_r srandom srandom_r sscanf sscanf_s ssignal stat statvfs
stpcpy stpncpy strcasecmp strcasecmp_l strcasestr strcat strcat_s strchr
strchrnul strcmp strcoll strcoll_l strcpy strcpy_s strcspn strdup strerror
strerror_l strerror_r strerror_s strerrordesc_np strerrorlen_s strerrorname_np
strfmon strfmon_l strfry strftime strftime_l strlcat strlcpy strlen strncasecmp
strncasecmp_l strncat strncat_s strncmp strncpy strncpy_s strndup strnlen
strnlen_s strpbrk strptime strrchr strsep strsignal strspn strstr strtod strtof
strtoimax strtok strtok_r strtok_s strtol strtold strtoll strtoq strtoul
strtoull strtoumax strtouq strverscmp strxfrm strxfrm_l swab swapcontext
swprintf swprintf_s swscanf swscanf_s symlink symlinkat sync sys_errlist
sys_nerr syscall sysconf syslog system tan tanf tanh tanhf tanhl tanl tcdrain
tcflow tcflush tcgetattr tcgetpgrp tcgetsid tcp_seq tcsendbreak tcsetattr
tcsetpgrp tdelete telldir tempnam tfind tgamma tgammaf tgammal thrd_create
thrd_current thrd_detach thrd_equal thrd_exit thrd_join thrd_sleep thrd_yield
time timegm timelocal timer_create timer_delete timer_getoverrun timer_gettime
timer_settime times timespec_get timezone tmpfile tmpfile64 tmpfile_s tmpnam
tmpnam_r tmpnam_s towctrans towctrans_l towlower towlower_l towupper towupper_l
trunc truncate truncf truncl tsearch tss_create tss_delete tss_get tss_set
ttyname ttyname_r ttyslot twalk tzname tzset u_char u_int u_long u_short ualarm
uint ulimit ulong umask uname ungetc ungetwc unlink unlinkat unlockpt unsetenv
uselocale ushort usleep utime utimensat utimes va_list valloc vasprintf
vdprintf vfork vfprintf vfprintf_s vfscanf vfscanf_s vfwprintf vfwprintf_s
vfwscanf vfwscanf_s vhangup vprintf vprintf_s vscanf vscanf_s vsnprintf
vsnprintf_s vsnwprintf_s vsprintf vsprintf_s vsscanf vsscanf_s vswprintf
vswprintf_s vswscanf vswscanf_s vsyslog vwprintf vwprintf_s vwscanf vwscanf_s
wait wait3 wait4 waitid waitpid wcpcpy wcpncpy wcrtomb wcrtomb_s wcscasecmp
wcscasecmp_l wcscat wcscat_s wcschr wcscmp wcscoll wcscoll_l wcscpy wcscpy_s
wcscspn wcsdup wcsftime wcslen wcsncasecmp wcsncasecmp_l wcsncat wcsncat_s
wcsncmp wcsncpy wcsncpy_s wcsnlen wcsnlen_s wcsnrtombs wcspbrk wcsrchr
wcsrtombs wcsrtombs_s wcsspn wcsstr wcstod wcstof wcstoimax wcstok wcstok_s
wcstol wcstold wcstoll wcstombs wcstombs_s wcstoul wcstoull wcstoumax wcswcs
wcswidth wcsxfrm wcsxfrm_l wctob wctomb wctomb_s wctrans wctrans_l wctype
wctype_l wcwidth wmemchr wmemcmp wmemcpy wmemcpy_s wmemmove wmemmove_s wmemset
wordexp wordfree wprintf wprintf_s write writev wscanf wscanf_s y0 y0f y0l y1
y1f y1l yn ynf ynl
)";

bool fovea::isNameOfLibrary(llvm::StringRef name) {
  static const llvm::StringSet<> names = [] {
    llvm::SmallVector<llvm::StringRef, 0> words;
    llvm::SplitString(libraryNames, words);
    llvm::StringSet<> set;
    for (llvm::StringRef word : words)
      set.insert(word);
    return set;
  }();
  static const llvm::TargetLibraryInfoImpl library(
      llvm::Triple("x86_64-unknown-linux-gnu"));
  llvm::LibFunc function;
  return names.contains(name) || library.getLibFunc(name, function);
}
