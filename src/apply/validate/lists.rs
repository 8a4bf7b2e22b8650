//! What HAProxy says of lists of certificates, which can be any file of the host, or one of ours.

/// Cuts off what stands in a list of certificates: a label can name any file as one, and HAProxy
/// quotes its lines.
pub(super) fn hide_lines(text: &mut String) {
    const BEFORE: &str = "'crt-list'";
    if let Some(at) = text.find(BEFORE) {
        text.truncate(at + BEFORE.len());
        text.push_str(" : a line of that file (what HAProxy says of it is not shown)");
    }
}

/// Cuts out in which line of which list a certificate stands, which 3.0 tells: it is named anyway, and others
/// come and go.
pub(super) fn leave_out_place(text: &mut String) {
    const BEFORE: &str = "error processing line ";
    let begin = text.find(BEFORE);
    let end = begin.and_then(|begin| Some(begin + text[begin..].find("' : ")? + "' : ".len()));
    if let Some((begin, end)) = begin.zip(end) {
        text.replace_range(begin..end, "");
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::messages::{parse, parse_beside};

    #[test]
    fn lines_of_a_list_of_certificates_are_not_shown() {
        let said = "'bind *:443' in section 'frontend' : 'crt-list' : unable to stat SSL certificate \
                    from file 'root:$6$secret' : No such file or directory.";
        let output = format!(
            "[ALERT]    (1) : config : parsing [/h.cfg:6] : {said}\n  more of secret\n[ALERT] (1) : other"
        );
        let messages = parse(&output, &[Path::new("/h.cfg")]);
        assert_eq!(messages[0].line, Some(6));
        assert_eq!(
            messages[0].text,
            "parsing [/h.cfg:6] : 'bind *:443' in section 'frontend' : 'crt-list' : a line of that file \
             (what HAProxy says of it is not shown)"
        );
        assert_eq!(messages[1].text, "other");
    }

    #[test]
    fn what_is_said_of_a_list_of_ours_names_the_certificate_and_not_its_line() {
        let before = "parsing [/h.cfg:6] : 'bind *:443' in section 'frontend' : ";
        let told = "'crt-list' : unable to load certificate from file '/a.pem': no start line.";
        let with_place = told.replace(
            "unable",
            "error processing line 2 in file '/e/https-0123456789abcdef.crt-list' : unable",
        );
        // As 2.6 has it, and 3.0.
        let said = [
            format!("{before}{told}"),
            format!("{before}\n  {with_place}"),
        ];
        let want = [format!("{before}{told}"), format!("{before}\n  {told}")];
        for (said, want) in said.iter().zip(&want) {
            let output = format!("[ALERT]    (1) : config : {said}");
            let files = [Path::new("/h.cfg")];
            let shown = &parse_beside(&output, &files, |line| line == 6)[0].text;
            assert_eq!(shown, want);
            let hidden = &parse_beside(&output, &files, |line| line == 5)[0].text;
            assert!(!hidden.contains("/a.pem"), "{hidden}");
        }
    }
}
