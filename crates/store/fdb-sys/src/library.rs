//! Finding `libfdb_c` and its functions when the program runs.
//!
//! The functions are looked up once, all together, by [`load`]. Calling one before that, or one
//! that the library does not have, panics with its name: [`load`] has refused every library that
//! lacks a function which the `foundationdb` crate needs.

use crate::bindings::Functions;
use crate::needed::NEEDED;
use std::ffi::{CStr, CString, OsStr};
use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError};

/// The environment variable that names another library than the installed one.
pub const PATH_VARIABLE: &str = "RIALTO_FDB_C";

/// Where the library is looked for, in this order; the first is the dynamic linker's own search.
#[cfg(not(target_os = "macos"))]
const USUAL_PATHS: &[&str] = &[
    "libfdb_c.so",
    "/usr/lib/libfdb_c.so",
    "/usr/lib64/libfdb_c.so",
    "/usr/local/lib/libfdb_c.so",
    "/opt/foundationdb/lib/libfdb_c.so",
];
#[cfg(target_os = "macos")]
const USUAL_PATHS: &[&str] = &["libfdb_c.dylib", "/usr/local/lib/libfdb_c.dylib"];

/// Why there is no library to call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LoadError {
    /// It was not found, or the dynamic linker refused it; the text is the linker's, of the place
    /// that was named, else of the last one tried.
    NotFound {
        /// The place that was named, or the usual name.
        path: PathBuf,
        /// The linker's words.
        reason: String,
    },
    /// It is no client library of FoundationDB 7.3.
    Incomplete {
        /// Where it is.
        path: PathBuf,
        /// The first function that it lacks.
        missing: &'static str,
    },
    /// Another one is in use; a process has one for its whole life.
    Another {
        /// The one in use.
        loaded: PathBuf,
        /// The one that was asked for.
        asked: PathBuf,
    },
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotFound { path, reason } => {
                write!(f, "{} was not found ({reason})", path.display())
            }
            Self::Incomplete { path, missing } => {
                write!(f, "{} has no function {missing}; 7.3 is needed", path.display())
            }
            Self::Another { loaded, asked } => {
                write!(f, "{} is in use, not {}", loaded.display(), asked.display())
            }
        }
    }
}

impl std::error::Error for LoadError {}

struct Library {
    path: PathBuf,
    /// The dynamic linker's, as a number so that threads may share it. Never closed.
    handle: usize,
    functions: Functions,
}

static LIBRARY: OnceLock<Library> = OnceLock::new();
/// Held while loading, so that it happens once.
static LOADING: Mutex<()> = Mutex::new(());

/// Loads the library: from `path`, else from where [`PATH_VARIABLE`] says, else from the usual
/// places. The first success counts for the whole process; later calls only check that they mean
/// the same library.
///
/// # Errors
/// [`LoadError`]; the call may then be repeated.
pub fn load(path: Option<&Path>) -> Result<(), LoadError> {
    let _held = LOADING.lock().unwrap_or_else(PoisonError::into_inner);
    let named = path.map(Path::to_owned).or_else(path_in_environment);
    if let Some(library) = LIBRARY.get() {
        return match named {
            Some(asked) if asked != library.path && !is_loaded_as(library.handle, &asked) => {
                Err(LoadError::Another { loaded: library.path.clone(), asked })
            }
            _ => Ok(()),
        };
    }
    let library = match &named {
        Some(path) => open(path.as_os_str())?,
        None => open_usual()?,
    };
    // Nobody else writes it: the lock is held.
    let _ = LIBRARY.set(library);
    Ok(())
}

/// Where the library in use was loaded from; `None` before [`load`].
pub fn loaded_from() -> Option<&'static Path> {
    LIBRARY.get().map(|library| library.path.as_path())
}

fn path_in_environment() -> Option<PathBuf> {
    std::env::var_os(PATH_VARIABLE).filter(|path| !path.is_empty()).map(PathBuf::from)
}

fn open_usual() -> Result<Library, LoadError> {
    let mut first_refusal = None;
    for path in USUAL_PATHS {
        match open(OsStr::new(path)) {
            Ok(library) => return Ok(library),
            // One that is there but cannot be used says more than those that are not there.
            Err(error @ LoadError::Incomplete { .. }) => return Err(error),
            Err(error) => _ = first_refusal.get_or_insert(error),
        }
    }
    Err(first_refusal.unwrap_or_else(|| not_found(OsStr::new("libfdb_c"), "no place to look")))
}

fn not_found(path: &OsStr, reason: &str) -> LoadError {
    LoadError::NotFound { path: PathBuf::from(path), reason: reason.to_owned() }
}

fn open(path: &OsStr) -> Result<Library, LoadError> {
    let name = CString::new(path.as_bytes()).map_err(|_| not_found(path, "a zero byte"))?;
    // SAFETY: the name is a C string. Loading runs the library's constructors; that this library
    // is FoundationDB's client is the operator's word, as with every linked library.
    let handle = unsafe { libc::dlopen(name.as_ptr(), libc::RTLD_NOW | libc::RTLD_LOCAL) };
    if handle.is_null() {
        return Err(not_found(path, &linker_error()));
    }
    // SAFETY: an open handle and a C string.
    let address = |symbol: &CStr| unsafe { libc::dlsym(handle, symbol.as_ptr()) };
    // SAFETY: the handle is never closed, so that the addresses stay valid; the table's types are
    // those of the 7.3 headers, and a library without what `NEEDED` names is refused below.
    let functions = unsafe { Functions::resolve(address) };
    let path = PathBuf::from(path);
    match functions.first_missing(NEEDED) {
        None => Ok(Library { path, handle: handle as usize, functions }),
        Some(missing) => Err(LoadError::Incomplete { path, missing }),
    }
}

/// Whether `path` means the library with this handle: the linker gives one handle for a library,
/// by whatever name it is found. Nothing is loaded.
fn is_loaded_as(handle: usize, path: &Path) -> bool {
    let Ok(name) = CString::new(path.as_os_str().as_bytes()) else {
        return false;
    };
    // SAFETY: a C string; with `RTLD_NOLOAD` no code of the library runs.
    let found = unsafe { libc::dlopen(name.as_ptr(), libc::RTLD_NOW | libc::RTLD_NOLOAD) };
    if !found.is_null() {
        // SAFETY: the handle that was just given; it counts once more, until here.
        unsafe { libc::dlclose(found) };
    }
    !found.is_null() && found as usize == handle
}

fn linker_error() -> String {
    // SAFETY: no arguments; the text is this thread's until its next call of the linker.
    let text = unsafe { libc::dlerror() };
    if text.is_null() {
        return "unknown reason".to_owned();
    }
    // SAFETY: not null, so a C string.
    unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned()
}

/// The table of the loaded library.
pub(crate) fn table() -> &'static Functions {
    match LIBRARY.get() {
        Some(library) => &library.functions,
        None => panic!("foundationdb_sys::load was not called or failed"),
    }
}

#[cold]
pub(crate) fn absent(name: &str) -> ! {
    panic!("the loaded libfdb_c has no function {name}")
}

/// Makes the table of all functions and one Rust function for each.
macro_rules! functions {
    ($(fn $name:ident($($argument:ident: $type:ty),* $(,)?) $(-> $result:ty)?;)*) => {
        pub(crate) struct Functions {
            $($name: Option<unsafe extern "C" fn($($type),*) $(-> $result)?>,)*
        }

        impl Functions {
            /// Looks every function up.
            ///
            /// # Safety
            /// `address` must give null, or the address of the C function of that name with the
            /// signature of the 7.3 headers, valid for ever.
            pub(crate) unsafe fn resolve(
                address: impl Fn(&::std::ffi::CStr) -> *mut ::std::ffi::c_void,
            ) -> Self {
                const fn name(text: &'static str) -> &'static ::std::ffi::CStr {
                    match ::std::ffi::CStr::from_bytes_with_nul(text.as_bytes()) {
                        Ok(name) => name,
                        Err(_) => panic!("a name with a zero byte"),
                    }
                }
                Self {
                    $($name: {
                        let address = address(const { name(concat!(stringify!($name), "\0")) });
                        // SAFETY: by this function's own condition it is null, which is `None`,
                        // or a function of this type.
                        unsafe {
                            ::std::mem::transmute::<
                                *mut ::std::ffi::c_void,
                                Option<unsafe extern "C" fn($($type),*) $(-> $result)?>,
                            >(address)
                        }
                    },)*
                }
            }

            /// The first function of `names` that the library does not have.
            pub(crate) fn first_missing(&self, names: &[&'static str]) -> Option<&'static str> {
                let there = |wanted: &str| match wanted {
                    $(stringify!($name) => self.$name.is_some(),)*
                    _ => false,
                };
                names.iter().find(|name| !there(name)).copied()
            }
        }

        $(
            /// The C function of this name.
            ///
            /// # Safety
            /// As the C API says. Panics if the library is not loaded.
            pub unsafe fn $name($($argument: $type),*) $(-> $result)? {
                match $crate::library::table().$name {
                    // SAFETY: the caller keeps the C API's conditions.
                    Some(function) => unsafe { function($($argument),*) },
                    None => $crate::library::absent(stringify!($name)),
                }
            }
        )*
    };
}
pub(crate) use functions;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::{self, NetworkError};

    /// What loading `path` says.
    fn check(path: &str, words: &str) {
        let error = load(Some(Path::new(path))).map_err(|error| error.to_string());
        let said = error.as_ref().err().map(String::as_str).unwrap_or_default();
        assert!(said.contains(words), "{path}: {error:?}");
        assert_eq!(loaded_from(), None, "{path}");
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_library_is_the_same_by_whatever_name() {
        // SAFETY: a C string; the C library is loaded already.
        let handle = unsafe { libc::dlopen(c"libc.so.6".as_ptr(), libc::RTLD_NOW) } as usize;
        assert_ne!(handle, 0);
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap_or_default();
        let mut paths = maps.lines().filter_map(|line| line.split_whitespace().nth(5));
        let path = paths.find(|path| path.ends_with("/libc.so.6")).unwrap_or_default();
        assert!(path.starts_with('/'), "{maps}");
        let same = |path: &str| is_loaded_as(handle, Path::new(path));
        assert!(same("libc.so.6") && same(path), "{path}");
        for other in ["/nowhere/libc.so.6", "a\0b", "libm.so.6", "/proc/self/exe", ""] {
            assert!(!same(other), "{other}");
        }
    }

    #[test]
    fn what_is_no_client_library_is_refused() {
        check("/nowhere/libfdb_c.so", "/nowhere/libfdb_c.so was not found (");
        check("a\0b", "was not found (a zero byte)");
        check("libc.so.6", "libc.so.6 has no function fdb_");
        assert!(matches!(network::start(), Err(NetworkError::NoLibrary)));
        assert!(network::stop().is_ok(), "nothing runs");
    }
}
