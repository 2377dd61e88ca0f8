//! Secrets and PINs: what may stand in a file, and never in a message.

use super::super::diagnostic::{Diagnostic, SECRET_KEYS, Span};
use super::super::model::{At, Pin, SecretRef};
use super::reader::{Item, Reader};

/// What one Argon2 check may cost: more would let a log-in attempt hold the machine. KiB, passes, lanes.
const ARGON2_MAX: [(&str, u32); 3] = [("m", 262_144), ("t", 16), ("p", 16)];

/// Whether what stands under this key must not be repeated in a message.
pub(super) fn holds_secret(key: &str) -> bool {
    SECRET_KEYS.contains(&key)
}

impl<'t> Item<'t> {
    pub(super) fn secret(&self, r: &mut Reader<'t>) -> Option<At<SecretRef>> {
        let text = self.text(r)?;
        let (kind, rest) = text.split_once(':').unwrap_or(("", ""));
        let hex = rest.bytes().all(|byte| byte.is_ascii_hexdigit());
        let value = match (kind, rest.len()) {
            ("file", 1..) => {
                if rest.starts_with('/') || rest.split('/').any(|part| part == "..") {
                    let help = "name it relative to the rules' directory: `file:secrets/100a`";
                    r.error("bad-secret", self.span, "a secret file lies below the rules' directory", help);
                    return None;
                }
                SecretRef::File(rest.into())
            }
            ("env", 1..) => SecretRef::Env(rest.into()),
            ("ha1", 32) if hex => SecretRef::Ha1Md5(rest.to_ascii_lowercase()),
            ("ha1", 64) if hex => SecretRef::Ha1Sha256(rest.to_ascii_lowercase()),
            ("plain", 3) if rest == "***" => SecretRef::Masked,
            ("plain", 1..) => {
                plain(r, self.span, "file:secrets/NAME");
                SecretRef::Plain(rest.into())
            }
            _ => {
                let help = "write `file:PATH`, `env:NAME`, `ha1:` and 32 (MD5) or 64 (SHA-256) hexadecimal digits, or `plain:...`";
                r.error("bad-secret", self.span, "this is no reference to a secret", help);
                return None;
            }
        };
        Some(At { value, span: self.span })
    }

    /// A PHC string of Argon2, or `plain:` and digits.
    pub(super) fn pin(&self, r: &mut Reader<'t>) -> Option<Pin> {
        let text = self.text(r)?;
        let digits =
            |pin: &str| (4..=15).contains(&pin.len()) && pin.bytes().all(|byte| byte.is_ascii_digit());
        match text.split_once(':') {
            Some(("hash", phc)) if is_argon2(phc) => Some(Pin::Hash(phc.into())),
            Some(("plain", "***")) => Some(Pin::Masked),
            Some(("plain", pin)) if digits(pin) => {
                plain(r, self.span, "hash:$argon2id$...");
                Some(Pin::Plain(pin.into()))
            }
            _ => {
                let help = "write `hash:` and a PHC string (`hash:$argon2id$v=19$m=19456,t=2,p=1$SALT$HASH`), or `plain:` and 4 to 15 \
                            digits";
                r.error("bad-pin", self.span, "this is no PIN", help);
                None
            }
        }
    }
}

/// `$argon2id$v=19$m=19456,t=2,p=1$SALT$HASH` (RFC 9106 and the PHC string format), of a cost that can be paid.
fn is_argon2(phc: &str) -> bool {
    let mut parts = phc.split('$');
    let mut next = || parts.next().unwrap_or_default();
    let (empty, kind, version, costs, salt, hash) = (next(), next(), next(), next(), next(), next());
    let base64 = |text: &str| {
        (8..=128).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/'))
    };
    let mut costs = costs.split(',');
    let payable = ARGON2_MAX.iter().all(|(name, most)| {
        let cost =
            costs.next().and_then(|cost| cost.strip_prefix(name)?.strip_prefix('=')?.parse::<u32>().ok());
        cost.is_some_and(|cost| (1..=*most).contains(&cost))
    });
    empty.is_empty()
        && matches!(kind, "argon2id" | "argon2i" | "argon2d")
        && version == "v=19"
        && payable
        && costs.next().is_none()
        && base64(salt)
        && base64(hash)
        && parts.next().is_none()
}

fn plain(r: &mut Reader<'_>, place: Span, instead: &str) {
    r.report(
        Diagnostic::warning("plain-secret", place, "a secret stands here in plain text")
            .help(format!("whoever reads this file can use it: write `{instead}` instead")),
    );
}

#[cfg(test)]
mod tests {
    use super::is_argon2;

    #[test]
    fn a_hash_has_its_version_its_costs_its_salt_and_itself() {
        let good = "$argon2id$v=19$m=19456,t=2,p=1$VQA1BVvBkRbEILuS+waAqQ$KUp8Ye1KKihAdUSs6QrtsZBuag/8BsbkxdNeyzS35Fs";
        assert!(is_argon2(good));
        for (what, with) in [
            ("v=19$", ""),
            ("m=19456", "m=4000000"),
            (",p=1", ""),
            ("argon2id", "bcrypt"),
            ("p=1", "p=1,x=2"),
        ] {
            assert!(!is_argon2(&good.replace(what, with)), "{what} -> {with}");
        }
        assert!(!is_argon2(&format!("{good}$more")) && !is_argon2("") && !is_argon2("$argon2id$$$$"));
    }
}
