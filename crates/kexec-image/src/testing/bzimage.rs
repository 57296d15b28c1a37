//! Small bzImages.

/// Where the PE header of a built file is.
const E_LFANEW: usize = 0x40;
/// The length of a PE32+ optional header with six data directories, as in the
/// kernel's own: 112 bytes and eight for each.
const OPTIONAL_LEN: u16 = 112 + 6 * 8;
/// Where the payload is in the protected-mode part.
const PAYLOAD_OFFSET: usize = 0x2c0;

/// A bzImage to be: a setup header, a protected-mode part without code, and a
/// payload.
#[derive(Debug, Clone)]
pub struct BzImageBuilder {
    /// `version` of the boot protocol.
    pub version: u16,
    /// `setup_sects`.
    pub setup_sects: u8,
    /// `xloadflags`.
    pub xloadflags: u16,
    /// `init_size`.
    pub init_size: u32,
    /// What `kernel_version` points to.
    pub kernel_version: String,
    /// The payload as it is in the file, with the size at its end.
    pub payload: Vec<u8>,
    /// Whether the file has PE headers.
    pub efi_stub: bool,
}

impl Default for BzImageBuilder {
    fn default() -> Self {
        BzImageBuilder {
            version: 0x20f,
            setup_sects: 4,
            // KERNEL_64 | CAN_BE_LOADED_ABOVE_4G | EFI_KEXEC.
            xloadflags: 0b1_0011,
            init_size: 64 << 20,
            kernel_version: "6.12.0-test (tester@example.org) #1 SMP".into(),
            payload: Vec::new(),
            efi_stub: true,
        }
    }
}

impl BzImageBuilder {
    /// A 64-bit kernel without a payload.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes `stream` for the payload and appends `size` as the kernel's build
    /// does. (gzip ends with the size itself.)
    #[must_use]
    pub fn payload(mut self, mut stream: Vec<u8>, size: usize, codec: &str) -> Self {
        if codec != "gzip" {
            stream.extend(number(size).to_le_bytes());
        }
        self.payload = stream;
        self
    }

    /// The file, headers and payload.
    pub fn build(&self) -> Vec<u8> {
        let sects = if self.setup_sects == 0 {
            4
        } else {
            self.setup_sects
        };
        let setup = (usize::from(sects) + 1) * 512;
        let protected = (PAYLOAD_OFFSET + self.payload.len()).next_multiple_of(512);
        let mut file = vec![0; setup + protected];
        let mut put = |at: usize, bytes: &[u8]| {
            file.splice(at..at + bytes.len(), bytes.iter().copied());
        };
        put(0x1f1, &[self.setup_sects]);
        put(0x1f4, &number(protected / 16).to_le_bytes());
        put(0x1fe, &0xaa55_u16.to_le_bytes());
        put(0x200, &[0xeb, 0x6a]);
        put(0x202, b"HdrS");
        put(0x206, &self.version.to_le_bytes());
        put(0x20e, &0x200_u16.to_le_bytes());
        put(0x400, self.kernel_version.as_bytes());
        put(0x211, &[1]);
        put(0x214, &0x10_0000_u32.to_le_bytes());
        put(0x22c, &0x7fff_ffff_u32.to_le_bytes());
        put(0x230, &0x20_0000_u32.to_le_bytes());
        put(0x234, &[1, 21]);
        put(0x236, &self.xloadflags.to_le_bytes());
        put(0x238, &2047_u32.to_le_bytes());
        if !self.payload.is_empty() {
            put(0x248, &number(PAYLOAD_OFFSET).to_le_bytes());
            put(0x24c, &number(self.payload.len()).to_le_bytes());
            put(setup + PAYLOAD_OFFSET, &self.payload);
        }
        put(0x258, &0x100_0000_u64.to_le_bytes());
        put(0x260, &self.init_size.to_le_bytes());
        if self.efi_stub {
            put(0, &pe_headers(setup, protected));
        }
        file
    }
}

fn number(n: usize) -> u32 {
    u32::try_from(n).expect("a test kernel is small")
}

/// PE headers that describe the file as two sections, below the setup header.
fn pe_headers(setup: usize, protected: usize) -> Vec<u8> {
    let mut file = b"MZ".to_vec();
    file.resize(0x3c, 0);
    file.extend(number(E_LFANEW).to_le_bytes());
    file.extend(b"PE\0\0");
    file.extend(0x8664_u16.to_le_bytes());
    file.extend(2_u16.to_le_bytes());
    file.extend([0; 12]);
    file.extend(OPTIONAL_LEN.to_le_bytes());
    file.extend(0x0206_u16.to_le_bytes());
    let optional = file.len();
    file.resize(optional + usize::from(OPTIONAL_LEN), 0);
    let mut put = |at: usize, bytes: &[u8]| {
        let at = optional + at;
        file.splice(at..at + bytes.len(), bytes.iter().copied());
    };
    put(0, &0x20b_u16.to_le_bytes());
    put(32, &0x200_u32.to_le_bytes());
    put(36, &0x200_u32.to_le_bytes());
    put(56, &number(setup + protected).to_le_bytes());
    put(60, &0x200_u32.to_le_bytes());
    put(68, &10_u16.to_le_bytes());
    put(108, &6_u32.to_le_bytes());
    for (name, start, len) in [
        (b".setup\0\0", 0x200, setup - 0x200),
        (b".text\0\0\0", setup, protected),
    ] {
        file.extend(name);
        for field in [len, start, len, start] {
            file.extend(number(field).to_le_bytes());
        }
        file.extend([0; 12]);
        file.extend(0x6000_0020_u32.to_le_bytes());
    }
    file
}
