//! The PKCS #7 `SignedData` of an Authenticode signature, as far as the digest
//! and the signer's name.

use super::der::{CONTEXT_0, Der, DerError, INTEGER, OCTET_STRING, OID, SEQUENCE, SET, dotted};

/// `id-signedData`: RFC 5652, section 5.1.
const ID_SIGNED_DATA: &str = "1.2.840.113549.1.7.2";
/// `SPC_INDIRECT_DATA_OBJID`: the Authenticode paper, "Authenticode Signature".
const SPC_INDIRECT_DATA: &str = "1.3.6.1.4.1.311.2.1.4";
/// `id-at-commonName`: RFC 5280, appendix A.1.
const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];

/// What a signature says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedData<'a> {
    /// The object identifier of the digest's algorithm, dotted.
    pub digest_algorithm: String,
    /// The digest of the file that was signed.
    pub digest: &'a [u8],
    /// The common name of the signer, or `unknown`.
    pub signer: String,
}

impl<'a> SignedData<'a> {
    /// Reads the `ContentInfo` in `bytes`, which are at `at` in the file. What
    /// follows it is padding.
    pub fn parse(bytes: &'a [u8], at: u64) -> Result<SignedData<'a>, DerError> {
        let mut content_info = Der::new(bytes, at)
            .expect(SEQUENCE, "the signature")?
            .inside();
        content_info.expect_oid(ID_SIGNED_DATA, "the content type of the signature")?;
        let mut signed = content_info
            .expect(CONTEXT_0, "the content of the signature")?
            .inside()
            .expect(SEQUENCE, "the signed data")?
            .inside();
        signed.expect(INTEGER, "the version of the signed data")?;
        signed.expect(SET, "the digest algorithms")?;

        let mut encapsulated = signed.expect(SEQUENCE, "the signed content")?.inside();
        encapsulated.expect_oid(SPC_INDIRECT_DATA, "the type of the signed content")?;
        let mut indirect = encapsulated
            .expect(CONTEXT_0, "the signed content")?
            .inside()
            .expect(SEQUENCE, "SpcIndirectDataContent")?
            .inside();
        indirect.expect(SEQUENCE, "SpcIndirectDataContent, data")?;
        let mut digest_info = indirect
            .expect(SEQUENCE, "SpcIndirectDataContent, messageDigest")?
            .inside();
        let algorithm = digest_info
            .expect(SEQUENCE, "the digest's algorithm")?
            .inside()
            .expect(OID, "the digest's algorithm")?;
        let digest = digest_info.expect(OCTET_STRING, "the digest")?;

        Ok(SignedData {
            digest_algorithm: dotted(algorithm.value),
            digest: digest.value,
            // Only a name for people: nothing depends on it.
            signer: signer(signed)
                .ok()
                .flatten()
                .unwrap_or_else(|| "unknown".into()),
        })
    }
}

/// The name of the first signer: the subject of the certificate that has the
/// issuer and serial number which the `SignerInfo` names (RFC 5652, section
/// 5.3). `signed` stands behind the signed content.
fn signer(mut signed: Der<'_>) -> Result<Option<String>, DerError> {
    let certificates = signed.optional(CONTEXT_0, "the certificates")?;
    // [1], the revocation lists.
    signed.optional(0xa1, "the revocation lists")?;
    let mut info = signed
        .expect(SET, "the signers")?
        .inside()
        .expect(SEQUENCE, "the signer")?
        .inside();
    info.expect(INTEGER, "the signer's version")?;
    let mut id = info.expect(SEQUENCE, "the signer's certificate")?.inside();
    let issuer = id.expect(SEQUENCE, "the certificate's issuer")?;
    let serial = id.expect(INTEGER, "the certificate's serial number")?;

    let mut certificates = match certificates {
        Some(certificates) => certificates.inside(),
        None => return Ok(None),
    };
    while !certificates.is_empty() {
        let mut certificate = certificates
            .expect(SEQUENCE, "a certificate")?
            .inside()
            .expect(SEQUENCE, "a certificate")?
            .inside();
        // TBSCertificate: RFC 5280, section 4.1.
        certificate.optional(CONTEXT_0, "the certificate's version")?;
        let its_serial = certificate.expect(INTEGER, "the certificate's serial number")?;
        certificate.expect(SEQUENCE, "the certificate's algorithm")?;
        let its_issuer = certificate.expect(SEQUENCE, "the certificate's issuer")?;
        certificate.expect(SEQUENCE, "the certificate's validity")?;
        let subject = certificate.expect(SEQUENCE, "the certificate's subject")?;
        if its_serial.value == serial.value && its_issuer.whole == issuer.whole {
            return common_name(subject.inside());
        }
    }
    Ok(None)
}

/// The common name in a distinguished name, harmless to print.
fn common_name(mut name: Der<'_>) -> Result<Option<String>, DerError> {
    while !name.is_empty() {
        let mut attributes = name.expect(SET, "a name")?.inside();
        while !attributes.is_empty() {
            let mut attribute = attributes.expect(SEQUENCE, "a name")?.inside();
            let kind = attribute.expect(OID, "a name")?;
            let value = attribute.any("a name")?;
            if kind.value == COMMON_NAME {
                return Ok(Some(printable(value.tag, value.value)));
            }
        }
    }
    Ok(None)
}

/// The text of a directory string (RFC 5280, section 4.1.2.4).
fn printable(tag: u8, value: &[u8]) -> String {
    /// BMPString: UTF-16, big-endian.
    const BMP_STRING: u8 = 0x1e;
    let text = if tag == BMP_STRING {
        let units: Vec<u16> = value
            .as_chunks::<2>()
            .0
            .iter()
            .map(|pair| u16::from_be_bytes(*pair))
            .collect();
        String::from_utf16_lossy(&units)
    } else {
        String::from_utf8_lossy(value).into_owned()
    };
    text.chars()
        .take(200)
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .collect()
}
