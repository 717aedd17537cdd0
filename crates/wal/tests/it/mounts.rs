//! File systems of a test's own: made, mounted, cut off and filled, where the machine lets us.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

/// A mounted file system. It is unmounted in the end.
pub(crate) struct Mount {
    home: TempDir,
    is_mounted: bool,
}

impl Mount {
    /// Makes an ext4 of its own in a file, with these features on (`x`) and off (`^x`).
    ///
    /// # Errors
    ///
    /// Why this machine cannot: it takes root, loop devices and the tools of ext4.
    pub(crate) fn ext4(megabytes: u64, features: &str) -> Result<Self, String> {
        let mut mount =
            Self { home: tempfile::tempdir().map_err(|error| error.to_string())?, is_mounted: false };
        let image = mount.image();
        let file = fs::File::create(&image).map_err(|error| error.to_string())?;
        file.set_len(megabytes << 20).map_err(|error| error.to_string())?;
        // A journal needs 1024 blocks at least.
        let image = image.to_str().ok_or("the path of the image is no text")?;
        let size = ["-q", "-F", "-b", "4096", "-J", "size=4", "-m", "0"];
        run("mkfs.ext4", &[&size[..], &["-O", features, image]].concat())?;
        mount.mount()?;
        Ok(mount)
    }

    /// Makes a file system in memory with room for so many bytes, a multiple of the page.
    ///
    /// # Errors
    ///
    /// Why this machine cannot: it takes root.
    pub(crate) fn tmpfs(bytes: u64) -> Result<Self, String> {
        let mut mount =
            Self { home: tempfile::tempdir().map_err(|error| error.to_string())?, is_mounted: false };
        fs::create_dir(mount.path()).map_err(|error| error.to_string())?;
        let point = mount.path();
        run("mount", &["-t", "tmpfs", "-o", &format!("size={bytes}"), "tmpfs", text(&point)])?;
        mount.is_mounted = true;
        Ok(mount)
    }

    /// Gives a file system in memory room for so many bytes.
    pub(crate) fn resize(&self, bytes: u64) {
        run("mount", &["-o", &format!("remount,size={bytes}"), text(&self.path())]).unwrap();
    }

    /// Where it is mounted.
    pub(crate) fn path(&self) -> PathBuf {
        self.home.path().join("mounted")
    }

    /// Cuts an ext4 off from its disk, the journal in memory included, as a power cut does. What was not synced is
    /// gone at the next mounting.
    ///
    /// # Errors
    ///
    /// Why this machine cannot.
    pub(crate) fn cut_power(&self) -> Result<(), String> {
        run("perl", &["-e", SHUTDOWN, text(&self.path())])
    }

    /// Mounts the disk anew, which must not be in use.
    pub(crate) fn start_again(&mut self) -> Result<(), String> {
        self.unmount()?;
        self.mount()
    }

    fn mount(&mut self) -> Result<(), String> {
        fs::create_dir_all(self.path()).map_err(|error| error.to_string())?;
        run("mount", &["-o", "loop", text(&self.image()), text(&self.path())])?;
        self.is_mounted = true;
        Ok(())
    }

    fn unmount(&mut self) -> Result<(), String> {
        run("umount", &[text(&self.path())])?;
        self.is_mounted = false;
        Ok(())
    }

    fn image(&self) -> PathBuf {
        self.home.path().join("image")
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        // Also from under a test that failed and has files open.
        if self.is_mounted && self.unmount().is_err() {
            let _ = run("umount", &["--lazy", text(&self.path())]);
        }
    }
}

/// Runs a program to its end.
///
/// # Errors
///
/// It is missing or fails.
pub(crate) fn run(program: &str, arguments: &[&str]) -> Result<(), String> {
    let done = Command::new(program).args(arguments).output();
    let done = done.map_err(|error| format!("{program}: {error}"))?;
    let said = String::from_utf8_lossy(&done.stderr);
    if done.status.success() { Ok(()) } else { Err(format!("{program}: {}", said.trim())) }
}

fn text(path: &Path) -> &str {
    path.to_str().expect("the directory of temporary files has a name that is text")
}

/// `FS_IOC_SHUTDOWN` without flushing the journal. A call of the kernel without a safe function in Rust.
const SHUTDOWN: &str = r#"open(my $root, "<", $ARGV[0]) or die "open: $!\n";
    my $flags = pack("I", 2); ioctl($root, 0x8004587d, $flags) or die "shutdown: $!\n";"#;
