//! The Via header field (RFC 3261 §20.42, RFC 3581).

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Via<'a> {
    /// `UDP`, `TCP`, ... as written.
    pub transport: &'a str,
    /// Host without brackets.
    pub host: &'a str,
    pub port: Option<u16>,
    pub params: &'a str,
}

impl<'a> Via<'a> {
    #[must_use]
    pub fn parse(text: &'a str) -> Option<Via<'a>> {
        let _ = text;
        todo!()
    }

    #[must_use]
    pub fn param(&self, name: &str) -> Option<&'a str> {
        let _ = name;
        todo!()
    }

    #[must_use]
    pub fn branch(&self) -> Option<&'a str> {
        self.param("branch")
    }
}
