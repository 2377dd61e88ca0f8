//! One packet protected or opened in its place, with the session keys of one direction: AES in counter mode with HMAC-SHA1 (RFC 3711 §4),
//! and AES-GCM (RFC 7714).
//!
//! Invariant: nothing of a packet is changed before it is authenticated. What may be replayed is not judged here.

use super::keys::{Master, Suite};
use aes::cipher::{BlockCipherEncrypt as _, InnerIvInit as _, KeyInit as _, StreamCipher as _};
use aes::{Aes128, Aes256, Block};
use aes_gcm::aead::AeadInOut as _;
use aes_gcm::{Aes128Gcm, Aes256Gcm};
use ctr::Ctr128BE;
use hmac::{Hmac, Mac as _};
use sha1::Sha1;
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

/// Octets that a packet grows by at most: the tag of GCM and the index of SRTCP.
pub const TRAILER_BYTES_MAX: usize = GCM_TAG_BYTES + RTCP_INDEX_BYTES;
const GCM_TAG_BYTES: usize = 16;
const RTCP_INDEX_BYTES: usize = 4;
/// The header of RTCP that stays in the clear (RFC 3711 §3.4).
const RTCP_CLEAR_BYTES: usize = 8;
/// Of SRTCP, whatever the suite: `_32` shortens the tag of SRTP alone (RFC 4568 §6.2.2).
const RTCP_MAC_BYTES: usize = 10;
/// The E flag (RFC 3711 §3.4).
const ENCRYPTED: u32 = 1 << 31;

/// The session keys of one direction.
pub(super) struct Transform {
    rtp: Half,
    rtcp: Half,
}

struct Half {
    cipher: Cipher,
    /// Of 14 octets; what a shorter salt lacks at the right is zero.
    salt: Zeroizing<[u8; 14]>,
}

enum Cipher {
    /// The cipher, the key of the tag, and octets of the tag.
    Counter(Box<Aes128>, Box<Hmac<Sha1>>, usize),
    Gcm128(Box<Aes128Gcm>),
    Gcm256(Box<Aes256Gcm>),
}

impl Transform {
    pub(super) fn new(master: &Master) -> Transform {
        let rtp_mac_bytes = match master.suite() {
            Suite::AesCm128HmacSha1_32 => 4,
            Suite::AesCm128HmacSha1_80 | Suite::AeadAes128Gcm | Suite::AeadAes256Gcm => 10,
        };
        Transform { rtp: Half::new(master, 0, rtp_mac_bytes), rtcp: Half::new(master, 3, RTCP_MAC_BYTES) }
    }

    /// Protects the RTP packet that is the first `octets` of the buffer, its payload beginning at `payload`. Octets after it; `None` where
    /// the buffer has no room for them.
    pub(super) fn seal_rtp(
        &self,
        buffer: &mut [u8],
        (payload, octets): (usize, usize),
        ssrc: u32,
        index: u64,
    ) -> Option<usize> {
        let (packet, trailer) = buffer.split_at_mut_checked(octets)?;
        let (header, body) = packet.split_at_mut_checked(payload)?;
        match &self.rtp.cipher {
            Cipher::Counter(aes, mac, tag_bytes) => {
                self.rtp.keystream(aes, ssrc, index, body);
                let tag = mac_of(mac, &[packet, &roc(index)]);
                trailer.get_mut(..*tag_bytes)?.copy_from_slice(tag.get(..*tag_bytes)?);
                Some(octets + tag_bytes)
            }
            gcm => {
                let nonce = self.rtp.rtp_nonce(ssrc, index);
                let tag = gcm.seal(&nonce, header, body)?;
                trailer.get_mut(..GCM_TAG_BYTES)?.copy_from_slice(&tag);
                Some(octets + GCM_TAG_BYTES)
            }
        }
    }

    /// Opens the RTP packet; octets of what it holds. `None`: it isn't authentic, and is as it was.
    pub(super) fn open_rtp(&self, packet: &mut [u8], payload: usize, ssrc: u32, index: u64) -> Option<usize> {
        match &self.rtp.cipher {
            Cipher::Counter(aes, mac, tag_bytes) => {
                let octets = packet.len().checked_sub(*tag_bytes).filter(|octets| *octets >= payload)?;
                let (packet, tag) = packet.split_at_mut_checked(octets)?;
                if !is_tag(&mac_of(mac, &[packet, &roc(index)]), tag) {
                    return None;
                }
                self.rtp.keystream(aes, ssrc, index, packet.get_mut(payload..)?);
                Some(octets)
            }
            gcm => {
                let octets = packet.len().checked_sub(GCM_TAG_BYTES).filter(|octets| *octets >= payload)?;
                let (packet, tag) = packet.split_at_mut_checked(octets)?;
                let (header, body) = packet.split_at_mut_checked(payload)?;
                gcm.open(&self.rtp.rtp_nonce(ssrc, index), header, body, tag)?;
                Some(octets)
            }
        }
    }

    /// Protects the RTCP packet that is the first `octets` of the buffer; the index has 31 bits.
    pub(super) fn seal_rtcp(&self, buffer: &mut [u8], octets: usize, ssrc: u32, index: u32) -> Option<usize> {
        let word = (index | ENCRYPTED).to_be_bytes();
        match &self.rtcp.cipher {
            Cipher::Counter(aes, mac, tag_bytes) => {
                self.rtcp.keystream(aes, ssrc, u64::from(index), buffer.get_mut(RTCP_CLEAR_BYTES..octets)?);
                let end = octets + RTCP_INDEX_BYTES;
                buffer.get_mut(octets..end)?.copy_from_slice(&word);
                let tag = mac_of(mac, &[buffer.get(..end)?]);
                buffer.get_mut(end..end + tag_bytes)?.copy_from_slice(tag.get(..*tag_bytes)?);
                Some(end + tag_bytes)
            }
            gcm => {
                let (packet, trailer) = buffer.split_at_mut_checked(octets)?;
                let (header, body) = packet.split_at_mut_checked(RTCP_CLEAR_BYTES)?;
                let tag = gcm.seal(&self.rtcp.rtcp_nonce(ssrc, index), &associated(header, word)?, body)?;
                trailer.get_mut(..GCM_TAG_BYTES)?.copy_from_slice(&tag);
                trailer.get_mut(GCM_TAG_BYTES..TRAILER_BYTES_MAX)?.copy_from_slice(&word);
                Some(octets + TRAILER_BYTES_MAX)
            }
        }
    }

    /// The index that an SRTCP packet names (RFC 3711 §3.4). `None`: it is too short, or not encrypted, which nobody has agreed to.
    pub(super) fn rtcp_index(&self, packet: &[u8]) -> Option<u32> {
        let trailer = match &self.rtcp.cipher {
            Cipher::Counter(_, _, tag_bytes) => *tag_bytes,
            Cipher::Gcm128(_) | Cipher::Gcm256(_) => 0,
        };
        let at = packet.len().checked_sub(trailer + RTCP_INDEX_BYTES)?;
        let word = u32::from_be_bytes(*packet.get(at..)?.first_chunk()?);
        (at >= RTCP_CLEAR_BYTES && word & ENCRYPTED != 0).then_some(word & !ENCRYPTED)
    }

    /// Opens the SRTCP packet with the index that it names; octets of what it holds. `None`: it isn't authentic, and is as it was.
    pub(super) fn open_rtcp(&self, packet: &mut [u8], ssrc: u32, index: u32) -> Option<usize> {
        match &self.rtcp.cipher {
            Cipher::Counter(aes, mac, tag_bytes) => {
                let end = packet.len().checked_sub(*tag_bytes)?;
                let (packet, tag) = packet.split_at_mut_checked(end)?;
                if !is_tag(&mac_of(mac, &[packet]), tag) {
                    return None;
                }
                let octets = end.checked_sub(RTCP_INDEX_BYTES)?;
                self.rtcp.keystream(aes, ssrc, u64::from(index), packet.get_mut(RTCP_CLEAR_BYTES..octets)?);
                Some(octets)
            }
            gcm => {
                let octets = packet.len().checked_sub(TRAILER_BYTES_MAX)?;
                let (packet, trailer) = packet.split_at_mut_checked(octets)?;
                let (header, body) = packet.split_at_mut_checked(RTCP_CLEAR_BYTES)?;
                let (tag, word) = trailer.split_at_checked(GCM_TAG_BYTES)?;
                let associated = associated(header, word.try_into().ok()?)?;
                gcm.open(&self.rtcp.rtcp_nonce(ssrc, index), &associated, body, tag)?;
                Some(octets)
            }
        }
    }
}

impl Half {
    /// The session keys of three labels from this one on: encryption, authentication, salt (RFC 3711 §4.3.1).
    fn new(master: &Master, label: u8, mac_bytes: usize) -> Half {
        let derived = |label, octets: &mut [u8]| derive(master, label, octets);
        let mut salt = Zeroizing::new([0; 14]);
        derived(label + 2, &mut salt[..master.suite().salt_bytes()]);
        let mut key = Zeroizing::new([0; 32]);
        let cipher = match master.suite() {
            Suite::AesCm128HmacSha1_80 | Suite::AesCm128HmacSha1_32 => {
                let (mut key, mut auth) = (Zeroizing::new([0; 16]), Zeroizing::new([0; 20]));
                derived(label, &mut key[..]);
                derived(label + 1, &mut auth[..]);
                let mut block = Zeroizing::new([0; 64]); // RFC 2104: a key shorter than a block is filled up with zeros
                block[..20].copy_from_slice(&auth[..]);
                let mac = Hmac::new((&*block).into());
                Cipher::Counter(Box::new(Aes128::new((&*key).into())), Box::new(mac), mac_bytes)
            }
            Suite::AeadAes128Gcm => {
                let mut key = Zeroizing::new([0; 16]);
                derived(label, &mut key[..]);
                Cipher::Gcm128(Box::new(Aes128Gcm::new((&*key).into())))
            }
            Suite::AeadAes256Gcm => {
                derived(label, &mut key[..]);
                Cipher::Gcm256(Box::new(Aes256Gcm::new((&*key).into())))
            }
        };
        Half { cipher, salt }
    }

    /// RFC 3711 §4.1.1: IV = (salt * 2^16) XOR (SSRC * 2^64) XOR (index * 2^16).
    fn keystream(&self, aes: &Aes128, ssrc: u32, index: u64, body: &mut [u8]) {
        let mut iv = [0; 16];
        iv[..14].copy_from_slice(&self.salt[..]);
        xor(&mut iv[4..8], &ssrc.to_be_bytes());
        xor(&mut iv[8..14], &index.to_be_bytes()[2..]);
        let core = ctr::CtrCore::inner_iv_init(aes.clone(), (&iv).into());
        Ctr128BE::<Aes128>::from_core(core).apply_keystream(body);
    }

    /// RFC 7714 §8.1.
    fn rtp_nonce(&self, ssrc: u32, index: u64) -> [u8; 12] {
        let mut nonce = [0; 12];
        nonce.copy_from_slice(&self.salt[..12]);
        xor(&mut nonce[2..6], &ssrc.to_be_bytes());
        xor(&mut nonce[6..], &index.to_be_bytes()[2..]);
        nonce
    }

    /// RFC 7714 §9.1.
    fn rtcp_nonce(&self, ssrc: u32, index: u32) -> [u8; 12] {
        let mut nonce = [0; 12];
        nonce.copy_from_slice(&self.salt[..12]);
        xor(&mut nonce[2..6], &ssrc.to_be_bytes());
        xor(&mut nonce[8..], &index.to_be_bytes());
        nonce
    }
}

impl Cipher {
    fn seal(&self, nonce: &[u8; 12], header: &[u8], body: &mut [u8]) -> Option<[u8; GCM_TAG_BYTES]> {
        let tag = match self {
            Cipher::Gcm128(gcm) => gcm.encrypt_inout_detached(nonce.into(), header, body.into()),
            Cipher::Gcm256(gcm) => gcm.encrypt_inout_detached(nonce.into(), header, body.into()),
            Cipher::Counter(..) => return None,
        };
        tag.ok().map(Into::into)
    }

    fn open(&self, nonce: &[u8; 12], header: &[u8], body: &mut [u8], tag: &[u8]) -> Option<()> {
        let tag: &[u8; GCM_TAG_BYTES] = tag.try_into().ok()?;
        let opened = match self {
            Cipher::Gcm128(gcm) => gcm.decrypt_inout_detached(nonce.into(), header, body.into(), tag.into()),
            Cipher::Gcm256(gcm) => gcm.decrypt_inout_detached(nonce.into(), header, body.into(), tag.into()),
            Cipher::Counter(..) => return None,
        };
        opened.ok()
    }
}

/// RFC 3711 §4.3.3, with a key derivation rate of zero: the keystream of the master key from `(label * 2^48 XOR salt) * 2^16` on. A salt of
/// 12 octets is filled up at the right (RFC 7714 §11).
fn derive(master: &Master, label: u8, out: &mut [u8]) {
    let mut iv = [0; 16];
    iv[..master.salt().len()].copy_from_slice(master.salt());
    iv[7] ^= label;
    let encrypt: Box<dyn Fn(&mut Block)> = match (master.key().try_into(), master.key().try_into()) {
        (Ok(key), _) => {
            let key: &[u8; 16] = key;
            let aes = Aes128::new(key.into());
            Box::new(move |block| aes.encrypt_block(block))
        }
        (_, Ok(key)) => {
            let key: &[u8; 32] = key;
            let aes = Aes256::new(key.into());
            Box::new(move |block| aes.encrypt_block(block))
        }
        // No suite has a key of another length.
        (Err(_), Err(_)) => return,
    };
    for (counter, part) in (0_u16..).zip(out.chunks_mut(16)) {
        iv[14..].copy_from_slice(&counter.to_be_bytes());
        let mut block = Block::from(iv);
        encrypt(&mut block);
        let block: Zeroizing<[u8; 16]> = Zeroizing::new(block.into());
        part.copy_from_slice(&block[..part.len()]);
    }
}

fn xor(octets: &mut [u8], with: &[u8]) {
    octets.iter_mut().zip(with).for_each(|(octet, with)| *octet ^= with);
}

fn mac_of(mac: &Hmac<Sha1>, parts: &[&[u8]]) -> [u8; 20] {
    let mut mac = mac.clone();
    parts.iter().for_each(|part| mac.update(part));
    mac.finalize().into_bytes().into()
}

/// RFC 3711 §4.2: the leftmost octets.
fn is_tag(mac: &[u8; 20], tag: &[u8]) -> bool {
    !tag.is_empty() && mac.get(..tag.len()).is_some_and(|mac| bool::from(mac.ct_eq(tag)))
}

/// The rollover counter, which the tag covers and the packet doesn't carry.
fn roc(index: u64) -> [u8; 4] {
    let [_, _, a, b, c, d, _, _] = index.to_be_bytes();
    [a, b, c, d]
}

/// What GCM authenticates of an SRTCP packet beside its content (RFC 7714 §9.2).
fn associated(header: &[u8], word: [u8; RTCP_INDEX_BYTES]) -> Option<[u8; 12]> {
    let mut associated = [0; 12];
    associated[..RTCP_CLEAR_BYTES].copy_from_slice(header.first_chunk::<RTCP_CLEAR_BYTES>()?);
    associated[RTCP_CLEAR_BYTES..].copy_from_slice(&word);
    Some(associated)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(text: &str) -> Vec<u8> {
        let digits: Vec<u8> =
            text.chars().filter_map(|c| c.to_digit(16)).map(|d| u8::try_from(d).unwrap()).collect();
        digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
    }

    /// RFC 3711 §B.3.
    #[test]
    fn session_keys_are_those_of_the_rfc() {
        let key_and_salt = hex("E1F97A0D3E018BE0D64FA32C06DE4139 0EC675AD498AFEEBB6960B3AABE6");
        let master = Master::new(Suite::AesCm128HmacSha1_80, &key_and_salt).unwrap();
        let derived = |label, length| {
            let mut out = vec![0; length];
            derive(&master, label, &mut out);
            out
        };
        assert_eq!(derived(0, 16), hex("C61E7A93744F39EE10734AFE3FF7A087"));
        assert_eq!(derived(2, 14), hex("30CBBC08863D8C85D49DB34A9AE1"));
        assert_eq!(derived(1, 20), hex("CEBE321F6FF7716B6FD4AB49AF256A156D38BAA4"));
    }

    /// RFC 3711 §B.2.
    #[test]
    fn the_keystream_is_that_of_the_rfc() {
        let half = Half {
            cipher: Cipher::Gcm128(Box::new(Aes128Gcm::new((&[0; 16]).into()))),
            salt: Zeroizing::new(hex("F0F1F2F3F4F5F6F7F8F9FAFBFCFD").try_into().unwrap()),
        };
        let key: [u8; 16] = hex("2B7E151628AED2A6ABF7158809CF4F3C").try_into().unwrap();
        let mut body = [0; 48];
        half.keystream(&Aes128::new((&key).into()), 0, 0, &mut body);
        let stream = "E03EAD0935C95E80E166B16DD92B4EB4 D23513162B02D0F72A43A2FE4A5F97AB 41E95B3BB0A2E8DD477901E4FCA894C0";
        assert_eq!(body, hex(stream)[..]);
    }

    const OMNIS: &str = "8040f17b 8041f8d3 5501a0b2 47616c6c 69612065 7374206f 6d6e6973 20646976 69736120 696e2070 61727465 73207472 6573";

    /// RFC 7714 §16.1.1, whose keys are those of a session.
    #[test]
    fn gcm_is_that_of_the_rfc() {
        let key: [u8; 16] = hex("000102030405060708090a0b0c0d0e0f").try_into().unwrap();
        let half = || Half {
            cipher: Cipher::Gcm128(Box::new(Aes128Gcm::new((&key).into()))),
            salt: Zeroizing::new(hex("517569642070726f2071756f0000").try_into().unwrap()),
        };
        let transform = Transform { rtp: half(), rtcp: half() };
        let plain = hex(OMNIS);
        let mut buffer = [plain.clone(), vec![0; TRAILER_BYTES_MAX]].concat();
        let octets = transform.seal_rtp(&mut buffer, (12, plain.len()), 0x5501_a0b2, 0xf17b).unwrap();
        let sealed = "8040f17b 8041f8d3 5501a0b2 f24de3a3 fb34de6c acba861c 9d7e4bca be633bd5 0d294e6f 42a5f47a 51c7d19b 36de3adf 8833 899d7f27 beb16a91 52cf765e e4390cce";
        assert_eq!(buffer[..octets], hex(sealed)[..]);
        assert_eq!(transform.open_rtp(&mut buffer[..octets], 12, 0x5501_a0b2, 0xf17b), Some(plain.len()));
        assert_eq!(buffer[..plain.len()], plain[..]);
    }
}
